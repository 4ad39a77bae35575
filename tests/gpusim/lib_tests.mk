# Tests of the stand-in libraries. They link to them as programs link to NVIDIA's.
LIB_TESTS := $(if $(wildcard $(CUDA_HOME)/include/cuda_runtime_api.h),$(patsubst tests/gpusim/tests/%.c,$(BUILD)/gpusim/tests/%,$(wildcard tests/gpusim/tests/test_libs_*.c)))

$(LIB_TESTS): $(BUILD)/gpusim/tests/%: $(BUILD)/gpusim/tests/gpusim/tests/%.c.o $(addprefix $(BUILD)/gpusim/lib/,libcudart.so.13 libcublas.so.13 libcudnn.so.9 libnccl.so.2)
	@mkdir -p $(@D)
	$(Q)$(CC) -o $@ $^ -Wl,-rpath,$(abspath $(BUILD)/gpusim/lib) -lcmocka -lm -lpthread
test-binaries: $(LIB_TESTS)

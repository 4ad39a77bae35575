# For machines with a GPU: `make test-gpu` tests the cuda target there, `make bench-gpu` measures it; with GPU=sim both
# are rehearsed on the simulator (tests/gpusim) at tiny sizes, and nothing is called a speed. experiments/gpu/README.md.
cuda_lib_obj = $(filter-out $(BUILD)/cuda/src/cli/%,$(cuda_obj))
CUDA_LINK    = nvcc -ccbin gcc -cudart shared -Xlinker -rpath,$(CUDA_HOME)/lib64 -o $@
CUDA_LIBS    = $(PKG_L) -lcublas -lcudnn -lm -Xcompiler -fopenmp

$(BUILD)/cuda/libhandsoff.a: $(cuda_lib_obj)
	@rm -f $@ && ar rcs $@ $^
$(BUILD)/cuda/libsupport.a: $(patsubst %,$(BUILD)/cuda/%.o,$(wildcard tests/support/*.c))
	@rm -f $@ && ar rcs $@ $^

# The test programs over the cuda library.
.PRECIOUS: $(BUILD)/cuda/tests/%.o
$(BUILD)/cuda/tests/%.o: tests/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(TEST_C) -DHO_TARGET_CUDA -isystem $(CUDA_HOME)/include -c $< -o $@
$(BUILD)/cuda/tests/%: $(BUILD)/cuda/tests/%.o $(BUILD)/cuda/libsupport.a $(BUILD)/cuda/libhandsoff.a
	$(Q)$(CUDA_LINK) $^ $(CUDA_LIBS) -lcmocka

# The benchmarks, over both libraries: on the cpu their sources are exercised in full.
kernel_bench_src := $(wildcard experiments/gpu/kernels/*.c)
step_bench_src   := $(wildcard experiments/bench/*.c)
$(BUILD)/gpu/%.cpu.o: %.c $(wildcard experiments/gpu/kernels/*.h experiments/bench/*.h)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(PKG_C) $(CFLAGS) -MMD -MP -c $< -o $@
$(BUILD)/gpu/%.cuda.o: %.c $(wildcard experiments/gpu/kernels/*.h experiments/bench/*.h)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -DHO_TARGET_CUDA $(PKG_C) -isystem $(CUDA_HOME)/include $(CFLAGS) -MMD -MP -c $< -o $@
$(BUILD)/gpu/kernels-cpu: $(kernel_bench_src:%.c=$(BUILD)/gpu/%.cpu.o) $(BUILD)/cpu/libhandsoff.a
	$(Q)$(CC) -o $@ $^ $(LIBS)
$(BUILD)/gpu/kernels-cuda: $(kernel_bench_src:%.c=$(BUILD)/gpu/%.cuda.o) $(BUILD)/cuda/libhandsoff.a
	$(Q)$(CUDA_LINK) $^ $(CUDA_LIBS)
$(BUILD)/gpu/steps-cuda: $(step_bench_src:%.c=$(BUILD)/gpu/%.cuda.o) $(BUILD)/cuda/libhandsoff.a
	$(Q)$(CUDA_LINK) $^ $(CUDA_LIBS)

# Which programs a target needs is asked of its script, so that the list is in one place.
gpu_env       = BUILD=$(BUILD) GPU=$(GPU) QUICK=$(QUICK) SIM_LIB=$(abspath $(BUILD)/gpusim/lib) CUDA_HOME=$(CUDA_HOME)
gpu_simulator = $(if $(filter sim,$(GPU)),$(addprefix $(BUILD)/gpusim/lib/,libcudart.so.13 libcublas.so.13 libcudnn.so.9 libcuda.so.1))
optable_cuda  = $(if $(wildcard tests/optable),$(BUILD)/tests/optable-cuda)

.PHONY: test-gpu bench-gpu test-gpu-binaries bench-gpu-binaries
test-gpu:
	@$(gpu_env) experiments/gpu/test_gpu.sh --ask
	@$(MAKE) --no-print-directory -j$$(nproc) test-gpu-binaries PROGRAMS="$$($(gpu_env) experiments/gpu/test_gpu.sh --programs)"
	@$(gpu_env) experiments/gpu/test_gpu.sh
bench-gpu:
	@$(gpu_env) experiments/gpu/bench_gpu.sh --ask
	@$(MAKE) --no-print-directory -j$$(nproc) bench-gpu-binaries
	@$(gpu_env) experiments/gpu/bench_gpu.sh
# What cannot be built does not keep the rest from being tested: -k, and the script says what is missing.
test-gpu-binaries: bin/handsoff bin/handsoff-cuda.so $(gpu_simulator)
	@$(MAKE) --no-print-directory -k $(PROGRAMS) $(BUILD)/gpu/kernels-cuda $(optable_cuda) || true
bench-gpu-binaries: bin/handsoff bin/handsoff-cuda.so $(BUILD)/gpu/kernels-cuda $(BUILD)/gpu/steps-cuda $(gpu_simulator)

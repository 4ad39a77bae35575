# The GPU simulator (tests/gpusim/README.md): stand-ins for the CUDA libraries, for the loader to find before the real
# ones: LD_LIBRARY_PATH=$(BUILD)/gpusim/lib.
SIM      := tests/gpusim
comma    := ,
SIM_LIB  := $(BUILD)/gpusim/lib
SIM_C     = -std=c17 -O3 -march=native -ffp-contract=off -fno-math-errno -fno-trapping-math -g -fPIC $(WARN) -I$(SIM)/sim -I$(SIM)/libs -D_GNU_SOURCE -isystem $(CUDA_HOME)/include -MMD -MP
sim_obj   = $(patsubst %,$(BUILD)/gpusim/%.o,$(wildcard $(addprefix $(SIM)/,$(addsuffix /*.c,$(1)))))

$(BUILD)/gpusim/%.c.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(SIM_C) -c $< -o $@

.PHONY: gpusim
gpusim: $(SIM_LIB)/libcudart.so.13 $(SIM_LIB)/libcublas.so.13 $(SIM_LIB)/libcudnn.so.9 $(SIM_LIB)/libnccl.so.2 $(SIM_LIB)/libcuda.so.1

$(SIM_LIB)/libcudart.so.13: $(call sim_obj,sim libs/cudart) $(SIM)/libs/cudart/symbols.map
	@mkdir -p $(@D)
	$(Q)$(CC) -shared -Wl,-soname,$(@F) -Wl,--version-script,$(SIM)/libs/cudart/symbols.map -Wl,--no-undefined -o $@ \
	    $(filter %.o,$^) -lm -lpthread
$(SIM_LIB)/libcublas.so.13: $(call sim_obj,libs/cublas) $(SIM)/libs/cublas/symbols.map $(SIM_LIB)/libcudart.so.13
$(SIM_LIB)/libcudnn.so.9: $(call sim_obj,libs/cudnn) $(SIM)/libs/cudnn/symbols.map $(SIM_LIB)/libcublas.so.13 $(SIM_LIB)/libcudart.so.13
$(SIM_LIB)/libnccl.so.2: $(call sim_obj,libs/nccl) $(SIM)/libs/nccl/symbols.map $(SIM_LIB)/libcudart.so.13
$(SIM_LIB)/libcublas.so.13 $(SIM_LIB)/libcudnn.so.9 $(SIM_LIB)/libnccl.so.2:
	@mkdir -p $(@D)
	$(Q)$(CC) -shared -Wl,-soname,$(@F) $(patsubst %,-Wl$(comma)--version-script$(comma)%,$(filter %.map,$^)) -Wl,--no-undefined \
	    -Wl,-rpath,'$$ORIGIN' -o $@ $(filter %.o %.13,$^) -lm -lpthread -lrt
# The driver: programs look whether it is there.
$(SIM_LIB)/libcuda.so.1:
	@mkdir -p $(@D)
	$(Q)$(CC) -shared -Wl,-soname,$(@F) -o $@ -x c /dev/null

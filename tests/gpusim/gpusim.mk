# The GPU simulator (tests/gpusim/README.md): stand-ins for the CUDA libraries, for the loader to find before the real
# ones: LD_LIBRARY_PATH=$(BUILD)/gpusim/lib.
SIM      := tests/gpusim
SIM_LIB  := $(BUILD)/gpusim/lib
SIM_C     = -std=c17 -O3 -march=native -ffp-contract=off -fno-math-errno -fno-trapping-math -g -fPIC \
            -fvisibility=hidden $(WARN) -I$(SIM)/sim -I$(SIM)/libs -D_GNU_SOURCE -isystem $(CUDA_HOME)/include -MMD -MP
sim_obj   = $(patsubst %,$(BUILD)/gpusim/%.o,$(wildcard $(addprefix $(SIM)/,$(addsuffix /*.c,$(1)))))

$(BUILD)/gpusim/%.c.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(SIM_C) -c $< -o $@

$(SIM_LIB)/libcudart.so.13: $(call sim_obj,sim libs/cudart) $(SIM)/libs/cudart/symbols.map
	@mkdir -p $(@D)
	$(Q)$(CC) -shared -Wl,-soname,$(@F) -Wl,--version-script,$(SIM)/libs/cudart/symbols.map -o $@ $(filter %.o,$^) -lm -lpthread

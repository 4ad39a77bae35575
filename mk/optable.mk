# The table of operations (tests/optable/table.h) over both libraries. `make test-optable-cuda` runs it on a GPU, or on the
# simulator with GPU=sim (OPTABLE_WIDTHS="64 128 256 512": block widths besides those of the script).
optable_src := $(wildcard tests/optable/*.c)
OPTABLE_C    = $(TEST_C) -Ikernels -Wno-missing-field-initializers -O2 # fields left out are 0

$(BUILD)/optable/cpu/%.o: tests/optable/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(OPTABLE_C) -c $< -o $@
$(BUILD)/optable/cuda/%.o: tests/optable/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(OPTABLE_C) -DHO_TARGET_CUDA -isystem $(CUDA_HOME)/include -c $< -o $@
$(BUILD)/tests/optable-cpu: $(optable_src:tests/optable/%.c=$(BUILD)/optable/cpu/%.o) $(BUILD)/cpu/libhandsoff.a
	@mkdir -p $(@D)
	$(Q)$(CC) -o $@ $^ $(LIBS)
$(BUILD)/tests/optable-cuda: $(optable_src:tests/optable/%.c=$(BUILD)/optable/cuda/%.o) $(BUILD)/cuda/libhandsoff.a
	@mkdir -p $(@D)
	$(Q)$(CUDA_LINK) $^ $(CUDA_LIBS)

.PHONY: test-optable optable-cuda test-optable-cuda
test-binaries: $(BUILD)/tests/optable-cpu
test-optable: $(BUILD)/tests/optable-cpu
	@BUILD=$(BUILD) tests/run.sh tests/cli/test_optable.sh
optable-cuda: $(BUILD)/tests/optable-cuda $(gpu_simulator)
test-optable-cuda: optable-cuda
	@BUILD=$(BUILD) GPU=$(GPU) tests/run.sh tests/optable/test_cuda.sh

# `make mutants` runs changed kernels through the table of operations on the simulator and says which nobody notices
# (tests/gpusim/mutants/mutate.py, experiments/mutants/README.md). It goes on where it stopped, and fails while a survivor is
# not explained or mutants are left; MUTANTS has its options.
MUTANTS ?= --budget 1200

.PHONY: mutants
mutants: gpusim $(BUILD)/tests/optable-cuda
	@python3 tests/gpusim/mutants/mutate.py --build $(BUILD) $(MUTANTS)

# Tests of memory, checks, scheduler and launches of the simulator itself, in every order.
CORE_TESTS := $(patsubst $(SIM)/tests/test_%.c,%,$(wildcard $(SIM)/tests/test_memory.c $(SIM)/tests/test_schedule.c))
CORE_BIN   := $(BUILD)/gpusim/tests

$(CORE_BIN)/test_%: $(BUILD)/gpusim/$(SIM)/tests/test_%.c.o $(BUILD)/gpusim/$(SIM)/tests/core_cases.c.o $(call sim_obj,sim)
	@mkdir -p $(@D)
	$(Q)$(CC) -o $@ $^ -lcmocka -lm -lpthread

.PHONY: test-gpusim-core
test-gpusim-core: $(addprefix $(CORE_BIN)/test_,$(CORE_TESTS))
	$(Q)for t in $^; do for o in order=forward order=reverse order=random,seed=1 order=random,seed=2,slice=5 \
	    order=random,seed=3,preempt=0; do echo "$$t $$o"; GPUSIM=$$o $$t 2>$$t.log || { cat $$t.log; exit 1; }; done; done

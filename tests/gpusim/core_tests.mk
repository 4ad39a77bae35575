# Tests of memory, checks, scheduler and launches of the simulator itself, in every order.
CORE_DIR   := tests/gpusim
CORE_BIN   := $(BUILD)/gpusim/tests
CORE_OBJ   := $(patsubst %,$(BUILD)/gpusim/%.o,$(wildcard $(CORE_DIR)/sim/*.c) $(CORE_DIR)/tests/core_cases.c)
CORE_TESTS := $(addprefix $(CORE_BIN)/test_,memory schedule)
CORE_ORDERS = order=forward order=reverse order=random,seed=1 order=random,seed=2,slice=5 order=random,seed=3,preempt=0

$(CORE_TESTS): $(CORE_BIN)/test_%: $(BUILD)/gpusim/$(CORE_DIR)/tests/test_%.c.o $(CORE_OBJ)
	@mkdir -p $(@D)
	$(Q)$(CC) -o $@ $^ -lcmocka -lm -lpthread

.PHONY: test-gpusim-core
test-gpusim-core: $(CORE_TESTS)
	$(Q)for t in $^; do for o in $(CORE_ORDERS); do echo "$$t $$o"; \
	    GPUSIM=$$o $$t >$$t.log 2>&1 || { cat $$t.log; exit 1; }; done; done

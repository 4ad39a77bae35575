# Tests of memory, checks, scheduler and launches of the simulator itself; tests/cli/test_gpusim_orders.sh repeats them
# in other orders.
CORE_DIR   := tests/gpusim
CORE_BIN   := $(BUILD)/gpusim/tests
CORE_OBJ   := $(patsubst %,$(BUILD)/gpusim/%.o,$(wildcard $(CORE_DIR)/sim/*.c) $(CORE_DIR)/tests/core_cases.c)
CORE_TESTS := $(addprefix $(CORE_BIN)/test_,memory schedule)

$(CORE_TESTS): $(CORE_BIN)/test_%: $(BUILD)/gpusim/$(CORE_DIR)/tests/test_%.c.o $(CORE_OBJ)
	@mkdir -p $(@D)
	$(Q)$(CC) -o $@ $^ -lcmocka -lm -lpthread

test-binaries: $(CORE_TESTS)

# Tests. tests/unit/test_X.c is a cmocka program over the float library; tests/ops/test_X.c is built twice, over the float
# and the double library (the double one checks gradients, the float one the errors of the shipping build).
unit_tests := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test_*.c))
op_tests   := $(patsubst tests/ops/%.c,%,$(wildcard tests/ops/test_*.c))
test_bins  := $(unit_tests) $(op_tests:%=$(BUILD)/tests/f32/%) $(op_tests:%=$(BUILD)/tests/f64/%)
test_lib   := $(wildcard tests/support/*.c)
TEST_C     := $(CPPFLAGS) -Itests/support -std=c17 -O1 -g -fopenmp $(WARN)

$(BUILD)/tests/unit/%: tests/unit/%.c $(test_lib) $(BUILD)/cpu/libhandsoff.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(TEST_C) $(PKG_C) -MMD -MP -MF $@.d -o $@ $< $(test_lib) $(BUILD)/cpu/libhandsoff.a $(LIBS) -lcmocka
$(BUILD)/tests/f32/%: tests/ops/%.c $(test_lib) $(BUILD)/cpu/libhandsoff.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(TEST_C) $(PKG_C) -MMD -MP -MF $@.d -o $@ $< $(test_lib) $(BUILD)/cpu/libhandsoff.a $(LIBS) -lcmocka
$(BUILD)/tests/f64/%: tests/ops/%.c $(test_lib) $(BUILD)/f64/libhandsoff.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(TEST_C) -DHO_REAL_DOUBLE $(PKG_C) -MMD -MP -MF $@.d -o $@ $< $(test_lib) $(BUILD)/f64/libhandsoff.a $(LIBS) -lcmocka

.PHONY: test-binaries
test-binaries: $(test_bins)

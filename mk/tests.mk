# Tests. tests/unit/test_X.c is a cmocka program over the float library; tests/ops/test_X.c is built twice, over the float
# and the double library (the double one checks gradients, the float one the errors of the shipping build).
unit_tests := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test_*.c))
op_tests   := $(patsubst tests/ops/%.c,%,$(wildcard tests/ops/test_*.c))
test_bins  := $(unit_tests) $(op_tests:%=$(BUILD)/tests/f32/%) $(op_tests:%=$(BUILD)/tests/f64/%)
TEST_C      = $(CPPFLAGS) -Itests/support $(PKG_C) -std=c17 -O1 -g -fopenmp $(WARN) -MMD -MP
support_of  = $(patsubst %,$(BUILD)/$(1)/%.o,$(wildcard tests/support/*.c))

$(BUILD)/cpu/tests/support/%.c.o: tests/support/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(TEST_C) -c $< -o $@
$(BUILD)/f64/tests/support/%.c.o: tests/support/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(TEST_C) -DHO_REAL_DOUBLE -c $< -o $@
# An archive, so that a test takes only what it uses.
$(BUILD)/cpu/libsupport.a: $(call support_of,cpu)
	@rm -f $@ && ar rcs $@ $^
$(BUILD)/f64/libsupport.a: $(call support_of,f64)
	@rm -f $@ && ar rcs $@ $^

$(BUILD)/tests/unit/%: tests/unit/%.c $(BUILD)/cpu/libsupport.a $(BUILD)/cpu/libhandsoff.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(TEST_C) -MF $@.d -o $@ $< $(wordlist 2,3,$^) $(LIBS) -lcmocka
$(BUILD)/tests/f32/%: tests/ops/%.c $(BUILD)/cpu/libsupport.a $(BUILD)/cpu/libhandsoff.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(TEST_C) -MF $@.d -o $@ $< $(wordlist 2,3,$^) $(LIBS) -lcmocka
$(BUILD)/tests/f64/%: tests/ops/%.c $(BUILD)/f64/libsupport.a $(BUILD)/f64/libhandsoff.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(TEST_C) -DHO_REAL_DOUBLE -MF $@.d -o $@ $< $(wordlist 2,3,$^) $(LIBS) -lcmocka

.PHONY: test-binaries
test-binaries: $(test_bins)

test_scripts := $(wildcard tests/cli/*.sh tests/golden/check_*.py)
.PHONY: test
test: deps
	@$(MAKE) --no-print-directory -j$$(nproc) bin/handsoff test-binaries
	@HANDSOFF_TEST_DATA=$${HANDSOFF_TEST_DATA:-../shared/data} tests/run.sh $(test_bins) $(EXEC_TESTS) $(CORE_TESTS) $(LIB_TESTS) $(test_scripts)

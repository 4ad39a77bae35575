# Tests of the parser and of single instructions, without the rest of the simulator.
EXEC_SOURCES := $(addprefix tests/gpusim/sim/,approx.c decode.c decode_memory.c lex.c undefined.c replace.c) $(wildcard tests/gpusim/sim/exec_*.c \
                tests/gpusim/sim/parse_*.c) tests/gpusim/tests/exec_stubs.c
EXEC_TESTS   := $(addprefix $(BUILD)/gpusim/tests/,test_parse test_exec test_exec_warp)

$(EXEC_TESTS): $(BUILD)/gpusim/tests/%: $(BUILD)/gpusim/tests/gpusim/tests/%.c.o $(EXEC_SOURCES:%=$(BUILD)/gpusim/%.o)
	@mkdir -p $(@D)
	$(Q)$(CC) -o $@ $^ -lcmocka -lm

test-binaries: $(EXEC_TESTS)

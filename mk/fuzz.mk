# Fuzzing: tests/fuzz/fuzz_NAME.c over the readers, with libFuzzer, ASan and UBSan (clang). `make test` does it for
# FUZZ_SECONDS, `make fuzz FUZZ_MINUTES=30` for longer, with the log in experiments/fuzz/NAME.log. A finding is left as
# crash-*, and the command fails.
FUZZ_CC      ?= $(shell command -v clang || command -v clang-14)
FUZZ_SECONDS ?= 20
FUZZ_MINUTES ?= 30
FUZZ_JOBS    ?= 1
FUZZ_SRC     := $(filter src/io/pickle_% src/io/source% src/io/weights% src/io/store% src/io/suggest%,$(wildcard src/io/*.c)) \
                src/tensor/status.c
FUZZ_C        = -std=c17 -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined \
                -fno-sanitize-recover=undefined $(CPPFLAGS) $(PKG_C)
fuzz_obj     := $(patsubst %,$(BUILD)/fuzz/%.o,$(FUZZ_SRC))

$(BUILD)/fuzz/%.c.o: %.c
	@mkdir -p $(@D)
	$(Q)$(FUZZ_CC) $(FUZZ_C) -MMD -MP -c $< -o $@
$(BUILD)/fuzz/fuzz_%: tests/fuzz/fuzz_%.c $(fuzz_obj) $(BUILD)/cpu/libhandsoff.a
	$(Q)$(FUZZ_CC) $(FUZZ_C) -fsanitize=fuzzer -o $@ $^ $(filter-out -fopenmp,$(LIBS)) -lgomp
$(BUILD)/fuzz/%_seeds: tests/fuzz/%_seeds.py
	@$(if $(CONDA_PREFIX),python3,/usr/bin/python3) $< $@

.PHONY: fuzz
fuzz: $(BUILD)/fuzz/fuzz_weights $(BUILD)/fuzz/weights_seeds
	@mkdir -p $(BUILD)/fuzz/weights_corpus experiments/fuzz
	cd $(BUILD)/fuzz && ./fuzz_weights -max_total_time=$$(($(FUZZ_MINUTES) * 60 / $(FUZZ_JOBS))) -fork=$(FUZZ_JOBS) -rss_limit_mb=2048 \
	    -timeout=20 -max_len=131072 -print_final_stats=1 weights_corpus weights_seeds >weights.log 2>&1; status=$$?; \
	    sed "s:$(CURDIR)/::" weights.log >$(CURDIR)/experiments/fuzz/weights.log; tail -n 20 weights.log; exit $$status

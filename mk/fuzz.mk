# Fuzzing: tests/fuzz/fuzz_NAME.c over the readers, with libFuzzer, ASan and UBSan (clang). `make test` does it for
# FUZZ_SECONDS in all, `make fuzz FUZZ_MINUTES=30` for so many minutes of processor, with the logs in experiments/fuzz/NAME.log. A finding is
# left as $(BUILD)/fuzz/NAME.crash-* (timeout-*, oom-*). tests/fuzz/regress/NAME/ holds what was found.
FUZZ_CC      ?= $(shell command -v clang || command -v clang-14)
FUZZ_SECONDS ?= 60
FUZZ_MINUTES ?= 30
FUZZ_JOBS    ?= 1
FUZZ_NAMES   ?= weights hdf5 png jpeg bmp json csv mat npy yaml
FUZZ_SRC     := $(filter-out src/io/toy_% src/io/plot.c src/io/font.c src/io/image_draw.c,$(wildcard src/io/*.c)) src/tensor/status.c
FUZZ_C        = -std=c17 -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined,float-cast-overflow \
                -fno-sanitize-recover=undefined,float-cast-overflow $(CPPFLAGS) $(PKG_C)
fuzz_obj     := $(patsubst %,$(BUILD)/fuzz/%.o,$(FUZZ_SRC))

$(BUILD)/fuzz/%.c.o: %.c
	@mkdir -p $(@D)
	$(Q)$(FUZZ_CC) $(FUZZ_C) -MMD -MP -c $< -o $@
$(BUILD)/fuzz/readers.a: $(fuzz_obj)
	@rm -f $@ && ar rcs $@ $^
$(BUILD)/fuzz/fuzz_%: $(BUILD)/fuzz/tests/fuzz/fuzz_%.c.o $(BUILD)/fuzz/readers.a $(BUILD)/cpu/libhandsoff.a
	$(Q)$(FUZZ_CC) $(FUZZ_C) -fsanitize=fuzzer -o $@ $^ $(filter-out -fopenmp,$(LIBS)) -lgomp
$(BUILD)/fuzz/seeds: tests/fuzz/seeds.py tests/fuzz/weights_seeds.py
	@rm -rf $@ && mkdir -p $@
	@$(if $(CONDA_PREFIX),python3,/usr/bin/python3) tests/fuzz/seeds.py $@ && \
	    $(if $(CONDA_PREFIX),python3,/usr/bin/python3) tests/fuzz/weights_seeds.py $@/weights

.PHONY: fuzz fuzz-programs
.SECONDARY:
fuzz-programs: $(FUZZ_NAMES:%=$(BUILD)/fuzz/fuzz_%) $(BUILD)/fuzz/seeds
fuzz: fuzz-programs
	FUZZ_CLOCK=processor tests/fuzz/run.sh $(BUILD)/fuzz $$(($(FUZZ_MINUTES) * 60)) $(FUZZ_JOBS) $(FUZZ_NAMES)
	@mkdir -p experiments/fuzz
	@for n in $(FUZZ_NAMES); do grep -v -E '^#[0-9]+\s+(NEW|REDUCE|RELOAD)' $(BUILD)/fuzz/$$n.log | sed "s:$(CURDIR)/::" >experiments/fuzz/$$n.log; done

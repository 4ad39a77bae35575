# `make bench` measures and prints one JSON line an item; BENCH=synth limits it to items whose names begin so, BENCH_QUICK=1
# takes two repetitions each. BENCH=label_infer_512 and BENCH=label_infer_cars, labels at full size, take turns with PyTorch's
# two ways and need minutes. `make bench-peer` takes turns with PyTorch and needs python3-torch; BENCH and BENCH_QUICK
# limit it likewise.
BENCH       ?=
BENCH_QUICK ?=
bench_env    = BENCH_COMMIT=$(shell git describe --always --dirty 2>/dev/null)

.PHONY: bench bench-peer
bench: $(BUILD)/bench
	@$(bench_env) $(if $(filter label_infer%,$(BENCH)),/usr/bin/python3 experiments/bench/labels.py --bench $< $(if $(BENCH_QUICK),--reps 1),$< $(if $(BENCH_QUICK),--quick)) $(BENCH)
bench-peer: $(BUILD)/bench
	@$(bench_env) /usr/bin/python3 experiments/bench/peer.py --bench $< $(if $(BENCH),--items "$(BENCH)") $(if $(BENCH_QUICK),--reps 2)
$(BUILD)/bench: $(wildcard experiments/bench/*.c experiments/bench/*.h) $(BUILD)/cpu/libhandsoff.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(PKG_C) $(CFLAGS) -o $@ $(filter %.c %.a,$^) $(LIBS)

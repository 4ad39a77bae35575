# `make squeezenet`: the LPIPS network for runs on photos, from the weights below $HANDSOFF_DATA (data/ without it).
SQUEEZENET_NPZ := $(or $(HANDSOFF_DATA),data)/weights/squeezenet1.1-features/squeezenet1.1_features_oihw.npz

.PHONY: squeezenet
squeezenet: $(BUILD)/squeezenet1_1.h5
$(BUILD)/squeezenet1_1.h5: experiments/weights/squeezenet_to_h5.py $(SQUEEZENET_NPZ)
	@mkdir -p $(@D)
	$(if $(CONDA_PREFIX),python3,/usr/bin/python3) $< $(SQUEEZENET_NPZ) $@.part && mv $@.part $@
$(SQUEEZENET_NPZ):
	@echo "make squeezenet: $@ is missing: set HANDSOFF_DATA (see data/README.md)" >&2; exit 1

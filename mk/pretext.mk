# `make pretext` builds the programs that trained data/pretext/vgg_narrow.h5 and data/pretext/backbone.h5.
.PHONY: pretext
pretext: $(BUILD)/pretext $(BUILD)/backbone
$(BUILD)/pretext $(BUILD)/backbone: $(BUILD)/%: experiments/pretext/%.c $(wildcard experiments/pretext/[it]*.[ch]) \
    $(BUILD)/cpu/libhandsoff.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(PKG_C) $(CFLAGS) -o $@ $(filter %.c %.a,$^) $(LIBS)

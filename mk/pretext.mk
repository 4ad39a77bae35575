# `make pretext` builds the program that trained data/pretext/vgg_narrow.h5.
.PHONY: pretext
pretext: $(BUILD)/pretext
$(BUILD)/pretext: $(wildcard experiments/pretext/*.c experiments/pretext/*.h) $(BUILD)/cpu/libhandsoff.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(PKG_C) $(CFLAGS) -o $@ $(filter %.c %.a,$^) $(LIBS)

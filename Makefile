# handsoff: `make` builds bin/handsoff (cpu) and, where nvcc is found, bin/handsoff-cuda.so. See README.md.
SHELL   := /bin/bash
BUILD   ?= build
Q       ?= @
ifeq ($(origin CC),default)
CC      := gcc
endif
OPT     ?= -O3 -march=native
VERSION := $(shell cat VERSION)

PKGS     := hdf5 yaml-0.1 jansson libpng libjpeg libzip zlib
WARN     := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes
CPPFLAGS := -Iinclude -Ikernels -I. -DHO_VERSION='"$(VERSION)"' -D_GNU_SOURCE
CFLAGS   := -std=c17 $(OPT) -ffp-contract=fast -g -fopenmp -fno-math-errno -fno-trapping-math $(WARN)
# Kernels may reorder sums (that is what lets them vectorise); NaN and Inf keep their meaning.
KFLAGS   := -fassociative-math -fno-signed-zeros -Wno-unknown-pragmas
PKG_C     = $(shell pkg-config --cflags $(PKGS))
PKG_L     = $(shell pkg-config --libs $(PKGS))
ifdef CONDA_PREFIX # its compiler is in CC, its libraries in one folder
PKG_C    := -isystem $(CONDA_PREFIX)/include
PKG_L    := -L$(CONDA_PREFIX)/lib -Xlinker -rpath -Xlinker $(CONDA_PREFIX)/lib -lhdf5 -lyaml -ljansson -lpng -ljpeg -lzip -lz
endif
LIBS      = $(PKG_L) -ldnnl -lm -fopenmp

# Sources that every target compiles, and those of one target. SKIP='src/stages/%' leaves files out (partial builds).
HOST_SRC := $(filter-out $(SKIP),$(wildcard src/tensor/*.c src/ops/*.c src/nn/*.c src/io/*.c src/stages/*.c))
KERNELS  := $(filter-out $(SKIP),$(wildcard kernels/*.cu))
CLI_SRC  := $(filter-out $(SKIP),$(wildcard src/cli/*.c))
CPU_SRC  := $(wildcard src/device/cpu/*.c)

cpu_obj  := $(patsubst %,$(BUILD)/cpu/%.o,$(HOST_SRC) $(CPU_SRC) $(KERNELS))
f64_obj  := $(patsubst %,$(BUILD)/f64/%.o,$(HOST_SRC) $(CPU_SRC) $(KERNELS))
cli_obj  := $(patsubst %,$(BUILD)/cpu/%.o,$(CLI_SRC))

.PHONY: all clean
all: bin/handsoff $(if $(shell command -v nvcc),cuda)

bin/handsoff: $(cli_obj) $(BUILD)/cpu/libhandsoff.a
	@mkdir -p $(@D)
	$(Q)$(CC) -o $@ $^ $(LIBS)

$(BUILD)/cpu/libhandsoff.a: $(cpu_obj)
	@rm -f $@ && ar rcs $@ $^
$(BUILD)/f64/libhandsoff.a: $(f64_obj)
	@rm -f $@ && ar rcs $@ $^

$(BUILD)/cpu/%.c.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(PKG_C) $(CFLAGS) -MMD -MP -c $< -o $@
$(BUILD)/cpu/%.cu.o: %.cu
	@mkdir -p $(@D)
	$(Q)$(CC) -x c $(CPPFLAGS) $(CFLAGS) $(KFLAGS) -MMD -MP -c $< -o $@
$(BUILD)/f64/%.c.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -DHO_REAL_DOUBLE $(PKG_C) $(CFLAGS) -MMD -MP -c $< -o $@
$(BUILD)/f64/%.cu.o: %.cu
	@mkdir -p $(@D)
	$(Q)$(CC) -x c $(CPPFLAGS) -DHO_REAL_DOUBLE $(CFLAGS) $(KFLAGS) -MMD -MP -c $< -o $@

clean:
	rm -rf $(BUILD) bin

include $(wildcard mk/*.mk tests/gpusim/*.mk)
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

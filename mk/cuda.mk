# The cuda target: bin/handsoff-cuda.so from the same host sources and kernels, which bin/handsoff loads where there is a
# GPU. Warnings are errors for every architecture.
CUDA_HOME ?= $(shell dirname $(shell dirname $(shell readlink -f $(shell command -v nvcc) 2>/dev/null) 2>/dev/null) 2>/dev/null)
CUDA_ARCHS ?= 80 90 100 120
GENCODE   := $(foreach a,$(CUDA_ARCHS),-gencode arch=compute_$(a),code=sm_$(a)) -gencode arch=compute_80,code=compute_80
NVFLAGS   := -std=c++17 -O3 -lineinfo $(GENCODE) --compress-mode=none -Werror all-warnings -Xptxas -v,-warn-spills,-Werror \
             -Xcompiler -fPIC,-Wall,-Wextra,-Werror,-Wno-unknown-pragmas -ccbin gcc
CUDA_SRC  := $(wildcard src/device/cuda/*.c)
CUDA_KERNELS := $(wildcard kernels/cuda/*.cu) # tensor cores: for this target alone
cuda_obj  := $(patsubst %,$(BUILD)/cuda/%.o,$(HOST_SRC) $(filter-out src/cli/main.c,$(CLI_SRC)) $(CUDA_SRC) $(KERNELS) $(CUDA_KERNELS))

.PHONY: cuda
cuda: bin/handsoff-cuda.so
bin/handsoff-cuda.so: $(cuda_obj) src/cli/cuda.map
	@mkdir -p $(@D)
	$(Q)nvcc -shared -cudart shared -Xlinker -rpath,$(CUDA_HOME)/lib64 -Xlinker --version-script=src/cli/cuda.map \
	    -Xlinker -Bsymbolic -Xlinker --no-undefined -o $@ $(cuda_obj) $(PKG_L) -lcublas -lcudnn -lm -Xcompiler -fopenmp

$(BUILD)/cuda/%.c.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -DHO_TARGET_CUDA $(PKG_C) -isystem $(CUDA_HOME)/include $(CFLAGS) -fPIC -Wno-deprecated-declarations -MMD -MP -c $< -o $@
# What ptxas says of each kernel stays beside the object: experiments/ptxas/ptxas.py reads it.
$(BUILD)/cuda/%.cu.o: %.cu
	@mkdir -p $(@D)
	$(Q)nvcc $(NVFLAGS) $(CPPFLAGS) -MMD -MP -c $< -o $@ 2>$@.ptxas || { grep -v '^ptxas info' $@.ptxas >&2; exit 1; }

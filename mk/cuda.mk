# The cuda target: bin/handsoff-cuda from the same host sources and kernels. Warnings are errors for every architecture.
CUDA_HOME ?= $(shell dirname $(shell dirname $(shell readlink -f $(shell command -v nvcc) 2>/dev/null) 2>/dev/null) 2>/dev/null)
CUDA_ARCHS ?= 80 90 100
GENCODE   := $(foreach a,$(CUDA_ARCHS),-gencode arch=compute_$(a),code=sm_$(a)) -gencode arch=compute_80,code=compute_80
NVFLAGS   := -std=c++17 -O3 -lineinfo $(GENCODE) --compress-mode=none -Werror all-warnings \
             -Xcompiler -Wall,-Wextra,-Werror,-Wno-unknown-pragmas -ccbin gcc
CUDA_SRC  := $(wildcard src/device/cuda/*.c)
cuda_obj  := $(patsubst %,$(BUILD)/cuda/%.o,$(HOST_SRC) $(CLI_SRC) $(CUDA_SRC) $(KERNELS))

.PHONY: cuda
cuda: bin/handsoff-cuda
bin/handsoff-cuda: $(cuda_obj)
	@mkdir -p $(@D)
	$(Q)nvcc -cudart shared -Xlinker -rpath,$(CUDA_HOME)/lib64 -o $@ $^ $(PKG_L) -lcublas -lcudnn -lm -Xcompiler -fopenmp

$(BUILD)/cuda/%.c.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -DHO_TARGET_CUDA $(PKG_C) -isystem $(CUDA_HOME)/include $(CFLAGS) -Wno-deprecated-declarations -MMD -MP -c $< -o $@
$(BUILD)/cuda/%.cu.o: %.cu
	@mkdir -p $(@D)
	$(Q)nvcc $(NVFLAGS) $(CPPFLAGS) -MMD -MP -c $< -o $@

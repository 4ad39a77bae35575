# `make ptxas` writes what the compiler says of every kernel and architecture to experiments/ptxas/; tests/cli/test_ptxas.sh
# compares each build with it. `make clang-cuda` has clang 19 read the kernels: a second front end, with its analyzer.
PTXAS_CU   := $(wildcard kernels/*.cu kernels/cuda/*.cu)
PTXAS_LOGS := $(patsubst %,$(BUILD)/cuda/%.o,$(PTXAS_CU))
SASS_TOOLS := $(BUILD)/sass-tools/nvidia/cu13/bin
SASS_PYPI  := nvidia-cuda-cuobjdump==13.4.92 nvidia-cuda-nvdisasm==13.4.92

.PHONY: ptxas ptxas-objects sass-tools clang-cuda
ptxas-objects: $(PTXAS_LOGS)
sass-tools: $(SASS_TOOLS)/cuobjdump
# The toolkit may come without its disassemblers; PyPI has them.
$(SASS_TOOLS)/cuobjdump:
	@mkdir -p $(BUILD)
	@python3 -m pip install -q --no-deps --root-user-action=ignore --target $(BUILD)/sass-tools $(SASS_PYPI)
ptxas: ptxas-objects $(SASS_TOOLS)/cuobjdump
	@python3 experiments/ptxas/ptxas.py --build $(BUILD) --sass $(SASS_TOOLS) --record

# An empty header stands for one that clang's wrappers include and CUDA 13 no longer has. Kernels that are written in
# C17 and CUDA C++ at once have no use for some warnings; cuda-compat wants pragmas spelt otherwise than nvcc does.
CLANG_CUDA  = clang++-19 -x cuda --cuda-path=$(CUDA_HOME) --cuda-gpu-arch=sm_80 -std=c++17 -Wno-unknown-cuda-version \
              -I$(BUILD)/clang-shim $(CPPFLAGS) -Wall -Wextra -Werror -Wshadow -Wno-unknown-pragmas -Wno-cuda-compat
clang-cuda:
	@command -v clang++-19 >/dev/null || $(MAKE) --no-print-directory deps DEPS=clang-19
	@mkdir -p $(BUILD)/clang-shim && : >$(BUILD)/clang-shim/texture_fetch_functions.h
	@for k in $(PTXAS_CU); do \
	    $(CLANG_CUDA) -O2 --cuda-device-only -S -o /dev/null $$k && \
	    $(CLANG_CUDA) --analyze --analyzer-output text -Xanalyzer -analyzer-werror --cuda-device-only $$k -o /dev/null && \
	    $(CLANG_CUDA) --analyze --analyzer-output text -Xanalyzer -analyzer-werror --cuda-host-only $$k -o /dev/null || exit 1; \
	done; echo "clang 19: $(words $(PTXAS_CU)) kernel files, no warning"

# Lint: formatting, clang-tidy, cppcheck. The compiler's own warnings are errors in every build.
lint_c  := $(wildcard src/*/*.c src/device/*/*.c tests/*/*.c tests/gpusim/*/*.c tests/gpusim/libs/*/*.c experiments/*/*.c experiments/*/*/*.c)
lint_cu := $(wildcard kernels/*.cu)
lint_h  := $(wildcard include/handsoff/*.h kernels/*.h kernels/cuda/*.h src/*/*.h src/device/*/*.h tests/*/*.h tests/gpusim/*/*.h tests/gpusim/libs/*/*.h)
lint_cuda := $(wildcard kernels/cuda/*.cu tests/gpusim/planted/*.cu)
lint_sim := $(wildcard tests/gpusim/sim/*.c tests/gpusim/libs/*/*.c)
# Any string literal will do for the version; one without quotes survives the shells between make and clang-tidy.
TIDY_C   = -std=c17 $(filter-out -DHO_VERSION=%,$(CPPFLAGS)) -DHO_VERSION=__FILE__ -Itests/support $(PKG_C) -isystem $(CUDA_HOME)/include -fopenmp

.PHONY: lint format
format: ; clang-format -i $(lint_c) $(lint_cu) $(lint_cuda) $(lint_h)
lint:
	@clang-format --dry-run -Werror $(lint_c) $(lint_cu) $(lint_cuda) $(lint_h)
	@cppcheck --quiet --enable=warning,portability,performance --inline-suppr --error-exitcode=1 --std=c11 \
	    --suppress=missingIncludeSystem --suppress=unmatchedSuppression --suppress=varFuncNullUB -Iinclude -Ikernels $(filter-out src/device/cuda/%,$(wildcard src/*/*.c src/device/*/*.c))
	@printf '%s\n' $(filter-out src/device/cuda/%,$(wildcard src/*/*.c src/device/cpu/*.c)) | xargs -P 2 -n 1 sh -c 'clang-tidy --quiet "$$@" -- -include mk/lint.h $(TIDY_C)' sh 2>/dev/null
	@printf '%s\n' $(lint_cu) | xargs -P 2 -n 1 sh -c 'clang-tidy --quiet "$$@" -- -x c $(TIDY_C)' sh 2>/dev/null
	@printf '%s\n' $(lint_sim) | xargs -P 2 -n 1 sh -c 'clang-tidy --quiet "$$@" -- -Itests/gpusim/sim -Itests/gpusim/libs $(TIDY_C)' sh 2>/dev/null
	@echo lint: clean

# What the build and the tests need. On Debian and Ubuntu `make deps` installs what is missing; with conda, env.yml has the
# same list. The cuda target needs the CUDA toolkit (12.8 or later) with cuDNN 9 besides.
DEB_BUILD := gcc libc6-dev pkg-config libdnnl-dev libhdf5-dev libyaml-dev libjansson-dev libpng-dev libjpeg-dev libzip-dev zlib1g-dev
DEB_TEST  := libcmocka-dev bc python3-torch python3-h5py python3-numpy python3-pil python3-pip libjemalloc2 libopenblas0-openmp clang-format clang-tidy clang libclang-rt-dev cppcheck
DEPS      ?= $(DEB_BUILD) $(DEB_TEST)
# One reader of a test that Debian does not have; from PyPI into the build folder, and a test is skipped without it.
PYPI_TEST := pycocotools==2.0.11

.PHONY: deps deps-build
deps-build: ; @$(MAKE) --no-print-directory deps DEPS="$(DEB_BUILD)"
deps:
	@if [ -n "$$CONDA_PREFIX" ]; then \
	    echo "conda environment $$CONDA_PREFIX: its packages are used (conda env create -f env.yml makes it)"; \
	elif ! command -v apt-get >/dev/null; then \
	    echo "no apt-get here. With conda: conda env create -f env.yml && conda activate handsoff. Otherwise install: $(DEPS)"; \
	else \
	    missing=$$(for p in $(DEPS); do dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done); \
	    if [ -n "$$missing" ]; then \
	        sudo=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	        echo "installing:" $$missing; \
	        $$sudo apt-get update -qq && $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	    fi; \
	    if [ "$(filter python3-pip,$(DEPS))" ] && [ ! -d $(BUILD)/python/pycocotools ]; then \
	        /usr/bin/python3 -m pip install -q --no-deps --retries 1 --timeout 20 --root-user-action=ignore --target $(BUILD)/python $(PYPI_TEST) || \
	            echo "without $(PYPI_TEST) from PyPI a test of export-data is skipped"; \
	    fi; \
	fi

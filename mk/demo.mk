# `make demo`: the whole pipeline on the embedded default, from installing what is missing to the pictures.
.PHONY: demo
demo: deps-build
	@$(MAKE) --no-print-directory -j$$(nproc) bin/handsoff
	bin/handsoff run configs/toy_faces.yml
	@bin/handsoff report configs/toy_faces.yml --force

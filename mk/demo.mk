# `make demo`: the whole pipeline on the embedded default, from installing what is missing to the pictures. The report comes
# last and always, so that a second `make demo`, which has nothing to compute, shows its table and pictures too.
DEMO_STAGES := import-data,train-gan,train-encoder,finetune-encoder,invert,train-head,generate,train-downstream,evaluate

.PHONY: demo
demo: deps-build
	@$(MAKE) --no-print-directory -j$$(nproc) bin/handsoff
	bin/handsoff run configs/toy_faces.yml --stages $(DEMO_STAGES)
	@bin/handsoff report configs/toy_faces.yml --force

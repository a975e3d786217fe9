# All networks from the data folder and nothing else: those of the folds, which no patient that they are scored on has
# taught, and those of the model that ships, by the same schedule. Seeds, steps and learning rates are fixed here and in
# the .json files beside; run again, it goes on where it was stopped.
#
#   make weights DATA=<data folder>       the model that ships: OUT/all/model.pt with its card
#   make folds DATA=<data folder>         OUT/fold-0, fold-1, fold-2, as evaluation.crossval and the others read them
#
# Each folder holds the detection network, counting/ (level network) and placing/ (centroid network).

DATA      ?= ../shared/data
OUT       ?= runs
SYNTHETIC ?= $(OUT)/synthetic
BIN       ?= .venv/bin
VERSION   ?= 9
FOLDS     := 0 1 2
DONE      := $(OUT)/done

export OMP_NUM_THREADS := 1
TRAIN = $(BIN)/vertebra-labeling train
FOLD  = $(if $(filter all,$(1)),,--fold $(1))
CASES = --data $(DATA) $(SYNTHETIC) --splits $(DATA)/splits.json $(call FOLD,$*) --resume
LOG   = > $@.log 2>&1 && touch $@

.PHONY: folds model
.SECONDARY:
folds: $(foreach fold,$(FOLDS),$(DONE)/$(fold).networks)
model: $(OUT)/all/model.pt

$(DONE)/%.networks: $(DONE)/%.detection $(DONE)/%.level $(DONE)/%.centroid
	touch $@

$(OUT)/all/model.pt: $(DONE)/all.networks
	$(BIN)/python -m VertebraLabelingTraining.models.export $(OUT)/all/checkpoint.pt $@ $(VERSION) \
	  --counting $(OUT)/all/counting/checkpoint.pt --placing $(OUT)/all/placing/checkpoint.pt

$(DONE):
	mkdir -p $@

$(DONE)/synthetic: | $(DONE)
	$(BIN)/python -m VertebraLabelingTraining.synthetic.make_synthetic --data $(DATA) --out $(SYNTHETIC) $(LOG)

folder = $(OUT)/$(if $(filter all,$*),all,fold-$*)

$(DONE)/%.detection: $(DONE)/synthetic
	$(TRAIN) --config configs/detection.json $(CASES) --out $(folder) $(LOG)

$(DONE)/%.level: $(DONE)/synthetic
	$(TRAIN) --network level --config configs/level.json $(CASES) --out $(folder)/counting $(LOG)

# The second half learns that a place must not depend on how large voxels are, beside the network of the first.
$(DONE)/%.early-centroid: $(DONE)/synthetic
	$(TRAIN) --network centroid $(CASES) --seed 1 --steps 2400 --out $(OUT)/early-centroid-$* $(LOG)

$(DONE)/%.centroid: $(DONE)/%.early-centroid
	$(TRAIN) --network centroid $(CASES) --seed 2 --steps 3500 --learning-rate 1.5e-3 \
	  --init $(OUT)/early-centroid-$*/checkpoint.pt --out $(folder)/placing $(LOG)

# make demo   label the sample CT in an own virtual environment
# make web    open the sample CT in a browser page, to label and correct it there
# make test   all tests but the long ones;  make test-long   soak, fuzz and scaling as well
# make lint   style checks of Python, schema and safety of the workflows
# make weights DATA=folder   train the model that ships;  make folds DATA=folder   the networks of the cross-validation

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
DEMO   ?= demo-output
PORT   ?= 8080
# Test files side by side, two more than there are cores, as tests of the panel, page and processes often wait;
# PYTEST_ARGS="-n 0" runs them one after the other.
SIDE_BY_SIDE = -n $(shell expr $$(getconf _NPROCESSORS_ONLN) + 2) --maxprocesses 6 --dist loadfile \
               --no-loadscope-reorder
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo web test test-long lint weights folds system clean

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.base: $(BIN)/python requirements/base.txt pyproject.toml
	$(BIN)/python -m pip install --quiet -r requirements/base.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

$(VENV)/.web: $(VENV)/.base requirements/web.txt
	$(BIN)/python -m pip install --quiet -r requirements/web.txt
	touch $@

$(VENV)/.test: $(VENV)/.base requirements/web.txt requirements/test.txt
	$(BIN)/python -m pip install --quiet -r requirements/test.txt
	touch $@

demo: $(VENV)/.base
	$(BIN)/python -m VertebraLabelingLib.scans.sample_ct $(DEMO)
	$(BIN)/vertebra-labeling label $(DEMO)/lidc_idri_0001.nii.gz -o $(DEMO) --format mrk.json,png --overwrite
	@echo
	@echo "Open in 3D Slicer: drag $(DEMO)/lidc_idri_0001.nii.gz and $(DEMO)/lidc_idri_0001.mrk.json onto its window."
	@echo "The picture of the labeled spine is $(DEMO)/lidc_idri_0001.png"
	@echo "See and correct it in a browser, without Slicer: make web"

web: $(VENV)/.web
	$(BIN)/python -m VertebraLabelingLib.scans.sample_ct $(DEMO)
	$(BIN)/vertebra-labeling serve $(DEMO)/lidc_idri_0001.nii.gz --port $(PORT)

system:
	@bash VertebraLabeling/Testing/install-system-packages.sh

test: $(VENV)/.test system
	QT_QPA_PLATFORM=offscreen $(BIN)/python -m pytest -m "not long" $(SIDE_BY_SIDE) $(PYTEST_ARGS)

test-long: $(VENV)/.test system
	QT_QPA_PLATFORM=offscreen $(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-actions .github/actions/*/action.yml
	$(BIN)/zizmor --offline --no-progress --quiet .github

weights: $(VENV)/.test
	$(MAKE) -f configs/weights.mk model BIN=$(BIN)

folds: $(VENV)/.test
	$(MAKE) -f configs/weights.mk folds BIN=$(BIN)

clean:
	rm -rf $(VENV) build dist *.egg-info $(DEMO)

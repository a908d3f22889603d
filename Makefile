# Every target does its own set-up: a virtual environment in .venv, pinned by requirements/*.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

FRAMES ?=
COUNT ?=
BROKER ?=
DATA ?= ../shared/data/all4/images
WEIGHTS ?= ../shared/weights

.PHONY: demo test lint bench accuracy models first-bundle demo-bundle requirements clean

demo: $(VENV)/run.stamp
	@$(BIN)/edge-agent demo $(if $(FRAMES),--frames "$(FRAMES)") $(if $(COUNT),--count $(COUNT)) $(if $(BROKER),--broker $(BROKER))

test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/dev.stamp
	$(BIN)/python -m benchmarks kmeans

accuracy: $(VENV)/dev.stamp
	$(BIN)/trainer evaluate --bundle first --data "$(DATA)" --split trainer/splits/all4-first.csv

models: first-bundle demo-bundle

# With the split of before, so that figures of different bundles are of the same images.
first-bundle: $(VENV)/dev.stamp
	rm -rf runs/first edge_agent/models/first
	$(BIN)/trainer train --data "$(DATA)" --description all4 --split trainer/splits/all4-first.csv \
		--weights "$(WEIGHTS)/mobilenet_v2_1.0_224_tfslim_bnfolded_f32.npz" --alpha 1.0 \
		--preprocessing rgb@1 --denoise median3 --seed 1 --variants 10 --epochs 18 --out runs/first
	$(BIN)/trainer quantize --run runs/first --data "$(DATA)" --name first --version 0.2.0 \
		--out edge_agent/models/first
	$(BIN)/trainer evaluate --bundle first --data "$(DATA)" --split runs/first/manifest.csv

demo-bundle: $(VENV)/dev.stamp
	rm -rf runs/synthetic runs/demo edge_agent/models/demo
	$(BIN)/trainer synth --per-class 300 --seed 1 --out runs/synthetic
	$(BIN)/trainer train --data runs/synthetic --seed 1 --out runs/demo \
		--weights "$(WEIGHTS)/mobilenet_v2_0.35_224_no_top_keras_f32.npz" --alpha 0.35 \
		--preprocessing rgb@1 --denoise median3 --epochs 0
	$(BIN)/trainer quantize --run runs/demo --data runs/synthetic --name demo --version 0.2.0 \
		--out edge_agent/models/demo

$(VENV)/python.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "Leukoscope needs Python 3.11 to 3.13; say which with: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/run.stamp: requirements/run.txt pyproject.toml | $(VENV)/python.stamp
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/run.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt pyproject.toml | $(VENV)/python.stamp
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@ $(VENV)/run.stamp

# One resolution for all Python versions; run.txt is a part of dev.txt, so one environment serves both.
requirements: $(VENV)/dev.stamp
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--extra dev pyproject.toml -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--constraint requirements/dev.txt --extra demo pyproject.toml -o requirements/run.txt

clean:
	rm -rf $(VENV) build *.egg-info

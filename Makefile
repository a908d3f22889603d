# Every target does its own set-up: a virtual environment in .venv, pinned by requirements/*.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

FRAMES ?=
COUNT ?=
BROKER ?=
DATA ?= ../shared/data/all4/images
WEIGHTS ?= ../shared/weights

.PHONY: demo test lint bench accuracy models requirements clean

demo: $(VENV)/run.stamp
	@$(BIN)/edge-agent demo $(if $(FRAMES),--frames "$(FRAMES)") $(if $(COUNT),--count $(COUNT)) $(if $(BROKER),--broker $(BROKER))

test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

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

# Every target does its own set-up: a virtual environment in .venv, pinned by requirements/*.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

FRAMES ?=
COUNT ?=
BROKER ?=
DATA ?= ../shared/data/all4/images
CNMC ?= ../shared/data/cnmc
WEIGHTS ?= ../shared/weights
WEIGHTS_1_0 = "$(WEIGHTS)/mobilenet_v2_1.0_224_tfslim_bnfolded_f32.npz"
WEIGHTS_0_35 = "$(WEIGHTS)/mobilenet_v2_0.35_224_no_top_keras_f32.npz"
SPLIT_FILE = trainer/splits/all4.csv
ARCH ?= amd64
PYTHON_VERSION ?= 3.13
# The .pth file of EfficientNet-Lite0's weights, or "imagenet" where its package is installed; without it 'make compare' does
# without that network.
LITE0 ?=
FOREIGN ?= --foreign ../shared/data/other-smears --foreign ../shared/data/frames-1280x960

# Tests start hundreds of processes, and each would compile what the one before it has compiled.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lint docs bench faults home-assistant system-test system-test-long system-test-short torn-writes lintian accuracy compare cross-validate many-laboratories probe models accurate-bundle fast-bundle demo-bundle cells-bundle coral-bundle requirements deb clean collector-kills dashboard dashboard-load fleet

demo: $(VENV)/run.stamp
	@$(BIN)/edge-agent demo $(if $(FRAMES),--frames "$(FRAMES)") $(if $(COUNT),--count $(COUNT)) $(if $(BROKER),--broker $(BROKER))

# The least coverage is that of a run in which nothing is skipped: with a broker, and with the real smears. Tests share two
# processes; those of browsers have the machine to themselves. Threads of OpenMP wait for each other by turning: with two on
# each of two busy cores, one clustering took two minutes instead of four seconds.
test: $(VENV)/dev.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --cov --cov-report= --cov-fail-under=0 --ignore tests/browser
	$(BIN)/python -m pytest --cov --cov-append $(if $(and $(shell command -v mosquitto),$(wildcard $(DATA))),,--cov-fail-under=0) \
		tests/browser

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The documentation as a site, in build/site. A broken link, a missing anchor or a page without a place in the menu is an error.
docs: $(VENV)/dev.stamp
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

bench: $(VENV)/dev.stamp
	$(BIN)/python -m benchmarks suite $(if $(OUT),--out "$(OUT)")
	$(BIN)/python -m benchmarks instructions $(if $(OUT),--out "$(OUT)")

# Kills, bad networks, wrong commands, a long run and an Edge TPU that stalls; twenty minutes.
faults: $(VENV)/dev.stamp
	$(BIN)/python -m tests.faults $(if $(OUT),--out "$(OUT)")

# 100,000 results while collectors, broker and PostgreSQL are killed 20 times; needs mosquitto and postgresql (two minutes).
collector-kills: $(VENV)/dev.stamp
	$(BIN)/python -m tests.faults.collector_kills $(if $(OUT),--out "$(OUT)")

# A thousand simulated devices at one mosquitto and at three nodes of RabbitMQ that fail meanwhile; needs root.
fleet: $(VENV)/dev.stamp
	LEUKOSCOPE_FLEET=1 $(BIN)/python -m pytest --no-cov tests/fleet
	$(BIN)/python -m benchmarks fleet --broker mosquitto --out $(if $(OUT),"$(OUT)",docs/figures/fleet)
	$(BIN)/python -m benchmarks fleet --broker rabbitmq --out $(if $(OUT),"$(OUT)",docs/figures/fleet)
	$(BIN)/python -m benchmarks fleet-sizing

# The dashboard's files in deploy/dashboard/page, from their sources.
dashboard: $(VENV)/dev.stamp
	$(BIN)/python -m tests.node_tools
	deploy/dashboard/build build/node/node_modules/.bin/esbuild

# Two hundred devices at one result per second before the dashboard in a browser; a quarter of an hour.
dashboard-load: $(VENV)/dev.stamp
	$(BIN)/python -m benchmarks dashboard --out $(if $(OUT),"$(OUT)",docs/figures/dashboard)

# The package on a whole machine: booted, unplugged, killed, filled up, cut off. LEUKOSCOPE_DEB names another package.
system-test: $(VENV)/dev.stamp
	$(BIN)/python -m tests.system full $(if $(OUT),--out "$(OUT)")

# What Debian's own checker says of the package, beside the package's other tests.
lintian: $(VENV)/dev.stamp
	LEUKOSCOPE_LINTIAN=1 $(BIN)/python -m pytest tests/system/test_package.py

# A real Home Assistant, in a Debian that is made once: its schemas, and what it shows of a device (two minutes).
home-assistant: $(VENV)/dev.stamp
	LEUKOSCOPE_HOME_ASSISTANT=1 $(BIN)/python -m pytest --no-cov -v tests/system/test_home_assistant.py

# With twenty power cuts, and ten on a disk that tears writes.
system-test-long: $(VENV)/dev.stamp
	$(BIN)/python -m tests.system long $(if $(OUT),--out "$(OUT)")

# Ten power cuts on a disk that forgets and tears what was not flushed. SEED repeats what a run drew.
torn-writes: $(VENV)/dev.stamp
	$(BIN)/python -m tests.system long --only test_torn_writes $(if $(SEED),--seed $(SEED)) $(if $(OUT),--out "$(OUT)")

# A cold boot and a kill; where no machine can be booted it says why, and all is well.
system-test-short: $(VENV)/dev.stamp
	$(BIN)/python -m tests.system short $(if $(OUT),--out "$(OUT)")

accuracy: $(VENV)/dev.stamp
	for bundle in accurate fast; do \
		$(BIN)/trainer evaluate --bundle $$bundle --data "$(DATA)" --split $(SPLIT_FILE) --shifts $(FOREIGN) \
			--out docs/figures/$$bundle || exit; \
	done

compare: $(VENV)/dev.stamp
	$(BIN)/trainer compare --data "$(DATA)" --description all4 --split $(SPLIT_FILE) --out runs/compare \
		--weights 1.0=$(WEIGHTS_1_0) --weights 0.35=$(WEIGHTS_0_35) --variants 1 --epochs 3 \
		$(if $(LITE0),--other EfficientNet-Lite0="$(LITE0)") --bundle accurate --bundle fast

# The recipe of "accurate" (see accurate-bundle) over all images, in five folds: some hours on two cores. Started again, it resumes.
cross-validate: $(VENV)/dev.stamp
	$(BIN)/trainer cross-validate --data "$(DATA)" --description all4 --split $(SPLIT_FILE) \
		--weights $(WEIGHTS_1_0) --out runs/cross-validation

# How much too optimistic a random split is, on data whose subjects are known.
probe: $(VENV)/dev.stamp
	$(BIN)/trainer probe --data "$(CNMC)/images" --table "$(CNMC)/manifest.csv" --description cnmc \
		--weights $(WEIGHTS_1_0) --out runs/probe

# How cells bundles do where they were never trained: hours on two cores. Each step is skipped whose output is there, so that
# a killed run goes on; remove a run's folder to train it again.
CELLS_DATA ?= ../shared/data
CELLS_RUNS ?= runs/many-laboratories
LEFT_OUT = jhu lmu cnmc pbc
TRAIN_CELLS = $(BIN)/trainer train-cells --data "$(CELLS_DATA)" --weights $(WEIGHTS_0_35) --cache "$(CELLS_RUNS)/cache"
CELLS_BUNDLES = $(LEFT_OUT:%=$(CELLS_RUNS)/without-%/bundle/manifest.json) \
	$(addprefix $(CELLS_RUNS)/,$(addsuffix /bundle/manifest.json,all patients random))

many-laboratories: $(CELLS_BUNDLES)
	$(BIN)/trainer many-laboratories --runs "$(CELLS_RUNS)" --data "$(CELLS_DATA)" --weights $(WEIGHTS_0_35) \
		--out docs/figures/many-laboratories --page docs/many-laboratories.md --page README.md

# Make would remove them, as nobody asked for them by name.
.PRECIOUS: $(CELLS_RUNS)/%/weights.npz

$(CELLS_RUNS)/%/weights.npz: | $(VENV)/dev.stamp
	$(TRAIN_CELLS) --out $(@D) $(CELLS_PARTS)

$(CELLS_RUNS)/without-%/weights.npz: CELLS_PARTS = --leave-out $(patsubst without-%,%,$*)
$(CELLS_RUNS)/patients/weights.npz: CELLS_PARTS = --test-share 0.5
$(CELLS_RUNS)/random/weights.npz: CELLS_PARTS = --apart pictures

$(CELLS_RUNS)/%/bundle/manifest.json: $(CELLS_RUNS)/%/weights.npz
	$(BIN)/trainer bundle-cells --run $(CELLS_RUNS)/$* --data "$(CELLS_DATA)" --cache "$(CELLS_RUNS)/cache" \
		--name cells-$* --version 0.0.0 --provisional --out $(@D)

models: accurate-bundle fast-bundle demo-bundle cells-bundle

# With the committed split, so that the figures of all bundles are of the same images. Two networks teach the one that
# ships as "accurate", which in turn teaches "fast".
TRAIN = $(BIN)/trainer train --data "$(DATA)" --description all4 --split $(SPLIT_FILE) \
	--preprocessing rgb@1 --denoise median3

runs/audit/audit.json: $(VENV)/dev.stamp
	$(BIN)/trainer audit --data "$(DATA)" --description all4 --split $(SPLIT_FILE) --out runs/audit

accurate-bundle: runs/audit/audit.json
	rm -rf runs/teacher-1 runs/teacher-2 runs/accurate edge_agent/models/accurate
	for seed in 1 2; do \
		$(TRAIN) --alpha 1.0 --weights $(WEIGHTS_1_0) --seed $$seed --epochs 20 --out runs/teacher-$$seed || exit; \
	done
	$(TRAIN) --alpha 1.0 --weights $(WEIGHTS_1_0) --seed 1 --teacher runs/teacher-1 --teacher runs/teacher-2 \
		--variants 10 --epochs 24 --out runs/accurate
	$(BIN)/trainer quantize --run runs/accurate --data "$(DATA)"
	$(BIN)/trainer bundle --run runs/accurate --data "$(DATA)" --audit $< $(FOREIGN) \
		--name accurate --version 1.2.0 --out edge_agent/models/accurate

fast-bundle: runs/audit/audit.json
	rm -rf runs/fast edge_agent/models/fast
	$(TRAIN) --alpha 0.35 --weights $(WEIGHTS_0_35) --seed 1 --teacher runs/accurate --variants 10 --epochs 24 \
		--out runs/fast
	$(BIN)/trainer quantize --run runs/fast --data "$(DATA)"
	$(BIN)/trainer bundle --run runs/fast --data "$(DATA)" --audit $< $(FOREIGN) \
		--name fast --version 1.2.0 --out edge_agent/models/fast

demo-bundle: $(VENV)/dev.stamp
	rm -rf runs/synthetic runs/demo edge_agent/models/demo
	$(BIN)/trainer synth --per-class 300 --seed 1 --out runs/synthetic
	$(BIN)/trainer train --data runs/synthetic --seed 1 --out runs/demo \
		--weights $(WEIGHTS_0_35) --alpha 0.35 --preprocessing rgb@1 --denoise median3 --variants 6 --epochs 12
	$(BIN)/trainer quantize --run runs/demo --data runs/synthetic
	$(BIN)/trainer bundle --run runs/demo --data runs/synthetic --name demo --version 0.3.0 \
		--out edge_agent/models/demo

# The card says what this recipe does on laboratories that were left out, if 'make many-laboratories' was there before.
TABLE ?= docs/figures/many-laboratories/table.md
cells-bundle: $(CELLS_RUNS)/all/weights.npz
	rm -rf edge_agent/models/cells
	$(BIN)/trainer bundle-cells --run $(CELLS_RUNS)/all --cache "$(CELLS_RUNS)/cache" --data "$(CELLS_DATA)" $(if $(wildcard $(TABLE)),--table "$(TABLE)") \
		--name cells --version 1.0.0 --out edge_agent/models/cells

# A copy of a bundle with its model compiled for a Coral Edge TPU; needs Google's edgetpu_compiler, which runs on x86-64 alone.
BUNDLE ?= accurate
coral-bundle: $(VENV)/dev.stamp
	$(BIN)/trainer coral --bundle "$(BUNDLE)" --out $(if $(OUT),"$(OUT)",build/coral/$(notdir $(BUNDLE)))

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

# One resolution for all Python versions; run.txt is a part of dev.txt, so one environment serves both. The extras stay
# in the pins: pip looks for the newest coverage[toml] where only coverage is pinned, and then wants its hash.
requirements: $(VENV)/dev.stamp
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-strip-extras \
		--extra dev pyproject.toml -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-strip-extras \
		--no-annotate --constraint requirements/dev.txt --extra demo pyproject.toml -o requirements/run.txt
	$(BIN)/uv pip compile --quiet --python-version $(PYTHON_VERSION) --python-platform linux --generate-hashes \
		--no-header --no-strip-extras --no-annotate --constraint requirements/dev.txt --extra adapt --extra prometheus --extra web \
		pyproject.toml -o requirements/device.txt

# A package for Debian and Raspberry Pi OS whose Python is PYTHON_VERSION; ARCH=arm64 for a Raspberry Pi.
deb: $(VENV)/python.stamp
	deploy/build-deb $(ARCH) $(PYTHON_VERSION) $(BIN)/python

clean:
	rm -rf $(VENV) build *.egg-info

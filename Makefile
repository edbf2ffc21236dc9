# Two commands need nothing set up: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
IMAGES ?=
# Most of the time goes into child processes that open models.
JOBS ?= 2
DATA ?= ../shared/pbc

# What `make gpu-check` takes; docs/gpu/check.md describes it.
BUNDLE ?=
WHEELS ?=
GPU_PYTHON ?=
TORCH_PYTHON ?=
LIBRARY ?= tensorrt
GPU_PACKAGES ?= $(LIBRARY) pycuda
GPU_VENV ?= .venv-gpu
GPU_OUT ?= gpu-check.json
GPU_BUDGET ?= 360
GPU_STEPS ?=
GPU_SCRATCH ?=
CHECK_PYTHON := $(or $(GPU_PYTHON),$(if $(WHEELS),$(GPU_VENV)/bin/python,$(BIN)/python))

.PHONY: help demo review test lint train clean gpu-check gpu-bundle
help:
	@echo "make demo [IMAGES=DIR]  convert the reference model, label drawn cells or your images"
	@echo "make review             look at the demonstration's cells, correct and sign (runs it if needed)"
	@echo "make test               lint, types and tests"
	@echo "make train DATA=DIR     train the reference model again (about an hour on 2 cores)"
	@echo "make gpu-check BUNDLE=NAME.edge  measure on this machine's GPU (docs/gpu/check.md), no network needed"
	@echo "make clean              remove the virtual environment and caches"

# The installation is made anew when what it depends on changes.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[convert,rtx,review,dev]'
	@touch $@

demo: $(VENV)/.installed
	$(BIN)/python -m edge.demo --model converters/reference/cells8.pt $(if $(IMAGES),--images "$(IMAGES)")

review: $(VENV)/.installed
	$(BIN)/python -m edge.demo --review --model converters/reference/cells8.pt

test: lint
	# Each process has a core: torch's threads would wait for one another. And the longest files,
	# which hold few tests, must not come last.
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

train: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train]'
	$(BIN)/python -m converters.reference train --data "$(DATA)" --out converters/reference/cells8.pt

# Filled from a folder of wheels alone. Tests need more packages than the measurements do.
$(GPU_VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(GPU_VENV)
	$(GPU_VENV)/bin/python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb')); \
		print(*p['project']['dependencies'], sep='\n')" > $(GPU_VENV)/requirements.txt
	$(GPU_VENV)/bin/pip install --disable-pip-version-check --no-index --find-links "$(WHEELS)" \
		-r $(GPU_VENV)/requirements.txt $(GPU_PACKAGES)
	-$(GPU_VENV)/bin/pip install --disable-pip-version-check --no-index --find-links "$(WHEELS)" \
		pytest pytest-timeout onnx
	@touch $@

gpu-bundle:
	@test -f "$(BUNDLE)/manifest.json" || { \
		echo "error: BUNDLE=NAME.edge is missing. Make one where torch is installed:"; \
		echo "  edge-convert converters/reference/cells8.pt --int8 --tensorrt8 --out cells8.edge"; \
		exit 2; }

gpu-check: gpu-bundle $(if $(GPU_PYTHON),,$(if $(WHEELS),$(GPU_VENV)/.installed,$(VENV)/.installed))
	@$(CHECK_PYTHON) -m tests.gpu.check --bundle "$(BUNDLE)" --library $(LIBRARY) \
		$(if $(wildcard $(DATA)/test),--data "$(DATA)") \
		$(if $(TORCH_PYTHON),--torch-python "$(TORCH_PYTHON)") \
		$(if $(GPU_STEPS),--steps "$(GPU_STEPS)") $(if $(GPU_SCRATCH),--scratch "$(GPU_SCRATCH)") \
		--budget $(GPU_BUDGET) --out $(GPU_OUT)

clean:
	rm -rf $(VENV) $(GPU_VENV) .mypy_cache .pytest_cache .ruff_cache build *.egg-info

# Two commands need nothing set up: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
IMAGES ?=
# Most of the time goes into child processes that open models.
JOBS ?= 2
DATA ?= ../shared/pbc

.PHONY: help demo test lint train clean
help:
	@echo "make demo [IMAGES=DIR]  convert the reference model, label drawn cells or your images"
	@echo "make test               lint, types and tests"
	@echo "make train DATA=DIR     train the reference model again (about half an hour on 2 cores)"
	@echo "make clean              remove the virtual environment and caches"

# The installation is made anew when what it depends on changes.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[convert,rtx,dev]'
	@touch $@

demo: $(VENV)/.installed
	$(BIN)/python -m edge.demo --model converters/reference/cells8.pt $(if $(IMAGES),--images "$(IMAGES)")

test: lint
	$(BIN)/pytest -n $(JOBS) --dist loadfile

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

train: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train]'
	$(BIN)/python -m converters.reference train --data "$(DATA)" --out converters/reference/cells8.pt

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache build *.egg-info

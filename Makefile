# The two commands a newcomer needs:  make demo   make test
# Everything lives in .venv; a stamp file makes the second run instant.
.DEFAULT_GOAL := help
.PHONY: help demo test lint types tests fast slow bench docs wheel constraints clean

PYTHON ?= python3
BIN    := .venv/bin
STAMP  := .venv/.installed

# MLflow: no telemetry from a build, no pickle ever, one thread per small prediction (see CONTRIBUTING.md).
export MLFLOW_DISABLE_TELEMETRY := true
export MLFLOW_ALLOW_PICKLE_DESERIALIZATION := false
export GIT_PYTHON_REFRESH := quiet
# One thread a process: tests fill the cores with processes, and threads that wait for each other cost.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

# Where a machine forbids bytecode, each process would compile MLflow and all else anew: 7 s of processor.
unexport PYTHONDONTWRITEBYTECODE

help:  ## list the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else "clv needs Python 3.11, 3.12 or 3.13; this is %d.%d. Try: make PYTHON=python3.12 $(MAKECMDGOALS)" % v)'
	@echo "Creating .venv and installing (once, about a minute) ..."
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	@$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e ".[all,dev,docs]"
	@touch $(STAMP)

demo: $(STAMP)  ## the main job on real orders: train, promote, score, target, allocate, report
	@$(BIN)/python -m training.demo

test: $(STAMP) lint  ## everything CI runs: lint, types, all tests
	@$(MAKE) --no-print-directory -j 2 types tests

lint: $(STAMP)  ## ruff, format check
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(STAMP)  ## mypy, strict on clv/ and on a user's file
	@$(BIN)/mypy

# Groups of tests keep their order, in which those without a slow one come first (tests/conftest.py).
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadscope --no-loadscope-reorder

tests: $(STAMP)  ## all tests, in one run: what a group of tests shares is made once
	@$(PYTEST)

fast: $(STAMP)  ## tests and doctests that take seconds
	@$(PYTEST) -m "not slow"

slow: $(STAMP)  ## tests that train, serve and start processes
	@$(PYTEST) -m slow

bench: $(STAMP)  ## speed, ours beside peers
	@$(BIN)/python -m pytest tests/benchmarks --benchmark-only --benchmark-enable

docs: $(STAMP)  ## the site, in build/docs; a warning or a dead link ends it
	@$(BIN)/python -m sphinx -W --keep-going -q docs build/docs && echo "build/docs/index.html"

wheel: $(STAMP)  ## dist/clv-VERSION-py3-none-any.whl, tried in environments of its own
	@$(BIN)/uv build --quiet --wheel --clear --out-dir dist .
	@$(BIN)/python -m pytest -n 0 tests/test_wheel.py

constraints: $(STAMP)  ## refresh the pinned versions
	@$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --upgrade --no-header --no-annotate --no-emit-index-url --no-emit-find-links --quiet -o constraints.txt

clean:  ## remove the environment and everything the commands made
	@rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache models/store data/demo

# Everything here builds and uses .venv from requirements.lock; nothing else needs installing by hand.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
UV_VERSION := $(shell sed -n 's/^uv==\([0-9.]*\).*/\1/p' requirements.lock)
# A scheduled run starts two to three times faster from byte code.
export UV_COMPILE_BYTECODE := 1
export UV_LINK_MODE := copy
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo quick test check test-slow test-postgres soak bench up lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

install: $(STAMP) ## build .venv from requirements.lock

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
		|| { echo "$(PYTHON) is $$($(PYTHON) --version); this project needs Python 3.11, 3.12 or 3.13: make PYTHON=python3.12 ..."; exit 2; }
	@echo "Building .venv from requirements.lock (about a minute) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@awk '/^[a-z]/ {keep = /^uv==/} keep' requirements.lock > .venv/uv.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.txt
	@$(BIN)/uv pip install --quiet --require-hashes --python $(BIN)/python -r requirements.lock
	@$(BIN)/uv pip install --quiet --no-deps --no-build-isolation --python $(BIN)/python -e .
	@touch $@

demo: $(STAMP) ## the whole loop on synthetic X-rays, through a real Prefect server (about two minutes on two free cores)
	@$(BIN)/xray demo

up: $(STAMP) ## Prefect server, deployments and worker in the foreground; Ctrl-C stops all three
	@$(BIN)/xray up

check: $(STAMP) ## ruff, mypy --strict and import-linter only
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Workers share two cores; threads of OpenBLAS would wait for one another (numeric tests, busy machine: 130 s of work for 99).
PYTEST := OPENBLAS_NUM_THREADS=1 $(BIN)/pytest

# Format, lint, contracts and types (from mypy's cache), then what needs no process of ours, no Keras and no server.
QUICK := not (slow or lengthy or soak or postgres or prefect or processes or keras)

quick: check ## what to run after every change: the checks and the unit tests, in parallel, under a minute
	$(PYTEST) -q -n 2 -m "$(QUICK)" --ignore tests/benchmarks --ignore tests/faults --ignore tests/xray_core/networks

test: check ## the one check: ruff, mypy --strict, import-linter and pytest
	@.ci/chromium
	@# Three for two cores: in the first minutes the tests of running services mostly wait.
	$(PYTEST) -n 3 --dist loadfile --no-loadscope-reorder

test-slow: $(STAMP) ## the tests that take minutes: every network, 26,000 mutations, coverage simulations
	$(BIN)/pytest -m slow --timeout 1800

test-postgres: $(STAMP) ## the database and flow tests on a private PostgreSQL server
	$(BIN)/python -m tests.postgres

soak: $(STAMP) ## arrivals, kills, exports and backups for SOAK_MINUTES (10)
	$(BIN)/pytest -m soak --timeout 0 -s

bench: $(STAMP) ## the service and its peers on the same files, side by side
	$(BIN)/python -m tests.benchmarks

commands: $(STAMP) ## docs/commands.md, anew from the command line itself
	$(BIN)/python -m tests.command_page

LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11

lock: ## resolve the locks anew (hashes, no download addresses): everything, and what the two images hold
	$(LOCK) --upgrade --extra dev --extra train --extra postgres pyproject.toml -o requirements.lock
	$(LOCK) --constraint requirements.lock --extra postgres --extra dask --extra s3 --extra build pyproject.toml -o deploy/scoring.lock
	$(LOCK) --constraint requirements.lock --extra postgres --extra dask --extra s3 --extra build --extra train --extra lite \
		pyproject.toml -o deploy/training.lock

clean: ## remove .venv and caches
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info

# Evenpost: two commands, `make demo` and `make test`, on a fresh Debian 12 with Python >= 3.11. `make help` lists all.
PYTHON ?= python3
VENV   := .venv
WORKERS ?= 3
BIN    := $(VENV)/bin
LOCKS  := deploy/locks
STAMP  := $(VENV)/.evenpost-installed
JARS   := $(VENV)/.evenpost-jars
START  := $(VENV)/.evenpost-start-cache
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Tests and demo start some hundred processes: each loads 250 modules of ours, quicker by 0.3 s where they are compiled.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format lock schemas acceptance clean

help:  ## what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) $(JARS) $(START)  ## .venv with everything in the hashed lock, and the embedded Kafka's jars

# A venv that can't be made on Debian lacks python3-venv: say so, and as root put it right.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "Evenpost needs Python >= 3.11; $(PYTHON) is $$($(PYTHON) -V 2>&1). Name another: make setup PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	        echo "python3-venv is missing: installing the Debian package"; \
	        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv; \
	    else \
	        echo "Python's ensurepip is missing. Install the Debian package python3-venv: sudo apt-get install python3-venv"; exit 1; \
	    fi; }
	$(PYTHON) -m venv $(VENV)

$(STAMP): $(BIN)/python pyproject.toml $(LOCKS)/requirements.lock
	$(BIN)/python -m pip install --quiet --require-hashes -r $(LOCKS)/requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(JARS): $(STAMP) deploy/kafka/jgo.lock.toml
	$(BIN)/python -m streams.runtime.embedded.jars
	@touch $@

# What one start of Kafka taught Java, for all others.
$(START): $(JARS)
	$(BIN)/python -m streams.runtime.embedded.start_cache
	@touch $@

demo: setup  ## three tenants, six campaigns, 20,000 recipients, a report
	$(BIN)/evenpost demo

# Three workers, each with servers of its own: a test waits for processes most of its time, also on two cores (10 minutes;
# two workers took 14). What takes the time of something comes after, by itself.
test: setup  ## unit, integration and end-to-end tests
	$(BIN)/python -m pytest -m "not acceptance and not alone" -n $(WORKERS) --dist loadscope --no-loadscope-reorder
	$(BIN)/python -m pytest -m "not acceptance and alone"

lint: setup  ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup  ## ruff's fixes and format
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

# Universal, hashed, and free of addresses: the same on every machine and mirror.
UV_COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
    --no-emit-find-links --custom-compile-command "make lock" pyproject.toml
# requirements.lock: all extras, for `make setup`. runtime.lock: none, for an image whose Kafka and ClickHouse are servers.
lock: $(BIN)/python  ## deploy/locks from pyproject.toml (UPGRADE=--upgrade for newer versions)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv
	$(UV_COMPILE) $(UPGRADE) --all-extras --output-file $(LOCKS)/requirements.lock
	$(UV_COMPILE) $(UPGRADE) --constraint $(LOCKS)/requirements.lock --output-file $(LOCKS)/runtime.lock

schemas: setup  ## JSON Schema, AsyncAPI and pages of docs/ from what is declared in the code
	$(BIN)/python -m schemas.generate
	$(BIN)/python -m streams.runtime.metrics_page

acceptance: setup  ## what is too long for CI; results under docs/acceptance/
	$(BIN)/python -m pytest -m acceptance tests/acceptance

clean:  ## remove the venv and the caches of tools
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find schemas streams agents tests -name __pycache__ -type d -prune -exec rm -rf {} +

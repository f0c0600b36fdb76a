# make run    set up, fetch the default model, start the app
# make test   the tests          make check   lint, types, import rules, docs
# make bench  the benchmarks     make screenshots  the pictures in the docs
# make clean   remove what the build made (never the workspace)

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install -qq --constraint constraints.txt --editable
INPUTS := pyproject.toml setup.py constraints.txt

.DEFAULT_GOAL := help
.PHONY: help run setup model test check screenshots bench clean chromium
.DELETE_ON_ERROR:

help:
	@sed -n '/^#/!q; s/^# //p' Makefile

run: setup model
	@exec $(BIN)/python -m studio serve

setup: $(VENV)/.run-ready

model: setup
	@$(BIN)/python -m studio models pull

# Two modules at a time, in their order: those that train come early, and none is left alone at the end.
test: $(VENV)/.dev-ready chromium
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(VENV)/.dev-ready
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python docs/check.py

screenshots: $(VENV)/.dev-ready chromium
	@STUDIO_SCREENSHOTS=docs/screenshots $(BIN)/python -m pytest tests/e2e/test_real_browser.py tests/e2e/test_data_tab.py

bench: $(VENV)/.bench-ready
	@$(BIN)/python -m bench $(ARGS)

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './workspace/*' -prune -exec rm -rf {} +

# A stamp is newer than what it was made from: a second run installs nothing and asks no network.
$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) was not found. Name a Python 3.11 or newer: make PYTHON=python3.12" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$(PYTHON) is $$($(PYTHON) --version 2>&1 | cut -d' ' -f2); the studio needs 3.11 or newer. Name one: make PYTHON=python3.12" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { echo "No virtual environment could be made. On Debian or Ubuntu: apt-get install python3-venv" >&2; exit 2; }

$(VENV)/.run-ready: $(INPUTS) | $(BIN)/python
	@echo "Installing what the studio needs into $(VENV) (the first time takes some minutes) ..."
	@$(PIP) .
	@touch $@

$(VENV)/.dev-ready: $(VENV)/.run-ready
	@echo "Installing what the tests and checks need ..."
	@$(PIP) '.[test,dev]'
	@touch $@

$(VENV)/.bench-ready: $(VENV)/.run-ready
	@echo "Installing what the benchmarks need ..."
	@$(PIP) '.[bench]'
	@touch $@

chromium:
	@command -v "$${STUDIO_CHROMIUM:-/usr/bin/chromium}" >/dev/null || { \
	  echo "The browser tests need Chromium, and $${STUDIO_CHROMIUM:-/usr/bin/chromium} is not there." >&2; \
	  echo "On Debian or Ubuntu: apt-get install chromium fonts-noto-cjk. Elsewhere, name yours: STUDIO_CHROMIUM=/path/to/chrome make test" >&2; \
	  exit 2; }

# Two commands do everything: `make demo` and `make test`. Every target sets up what it needs first.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
STAMP = $(VENV)/.ready-$(shell cksum < requirements.lock | cut -d' ' -f1)

.PHONY: setup demo test test-long check bench

setup: $(STAMP)

$(STAMP): pyproject.toml requirements.lock
	sh .ci/setup "$(PYTHON)" "$(VENV)"
	touch $@

demo: setup
	$(BIN)/plantgate demo

test: setup
	$(BIN)/python -m pytest

bench: setup
	$(BIN)/plantgate bench run speed

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# Two commands do everything: `make demo` and `make test`. Every target sets up what it needs first.
# Another interpreter: make test PYTHON=python3.13 VENV=.venv-313. Some tests only: make test TESTS=tests/house
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
STAMP = $(VENV)/.ready-$(shell cksum < requirements.lock | cut -d' ' -f1)

TOOLS = $(VENV)/.tools-$(shell cksum < .ci/setup | cut -d' ' -f1)

.PHONY: setup tools demo test test-313 check bench fuzz mutants kit lock

setup: $(STAMP)

$(STAMP): pyproject.toml requirements.lock .ci/setup
	@sh .ci/setup "$(PYTHON)" "$(VENV)"
	@touch $@

# Debian packages that tests and scenarios need beyond the demo.
tools: $(TOOLS)

$(TOOLS): $(STAMP)
	@sh .ci/setup "$(PYTHON)" "$(VENV)" tools
	@touch $@

demo: setup
	$(BIN)/plantgate demo

# The drivers' tests wait most of their time, so several wait at once; the others are judged by times and memory and
# run alone. Both run even if one fails.
test: tools
ifdef TESTS
	$(BIN)/python -m pytest $(TESTS)
else
	@failed=0; \
	$(BIN)/python -m pytest -n 6 tests/drivers || failed=1; \
	$(BIN)/python -m pytest --ignore=tests/drivers || failed=1; \
	exit $$failed
endif

# The same tests on Python 3.13, in a Debian 13 chroot where the machine has no python3.13 (needs root then).
test-313:
	@sh .ci/test-313

bench: tools
	$(BIN)/plantgate bench run speed

# Searches for new attacks on the judges of what devices send (x86-64 and Python 3.11; the fuzzer goes to .cache).
fuzz: setup
	@sh .ci/fuzz "$(BIN)/python"

# Which breaks of the judgement of alarms the tests see: at least 90 %, the others have their reasons in
# tests/gateway/alarm/survivors.txt (some modules only: MODULES="limits bank").
mutants: setup
	@sh .ci/mutants "$(BIN)/python"

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# What a gateway without internet is installed from: dist/plantgate-kit.tar.gz, for this machine's platform.
kit: setup
	@sh systemd/kit.sh "$(BIN)/python"

# Pins every package again after a change of pyproject.toml: newest versions, hashes, no addresses.
lock:
	@sh .ci/lock "$(PYTHON)"

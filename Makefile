# `make run` starts Milepost here, `make test` runs the whole suite, `make check` is the rest of CI.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

# uv installs in seconds what takes pip half a minute. It does not read pip's configuration, so
# where that names an index of its own, and where uv fails, pip does it.
define install
	@if ! $(PIP) config list | grep -qE '\.(index-url|no-index)=' \
	    && $(PIP) install --require-hashes --no-deps -r installer.lock \
	    && UV_NATIVE_TLS=1 $(BIN)/uv pip install --quiet --python $(BIN)/python $(1); \
	then :; else $(PIP) install --no-compile $(1); fi
endef

# What is imported is compiled once, at the first start, and kept; nothing else is.
unexport PYTHONDONTWRITEBYTECODE

# How many processes run tests beside each other, and how many those that want the machine.
TEST_PROCESSES ?= 4
PROMISE_PROCESSES ?= 2

.PHONY: help run test test-faults check chaos promises mutants bench bench-large recognition poll-budget supply lock clean
.DELETE_ON_ERROR:

help:
	@echo "make run     install if needed, start Milepost on 127.0.0.1:8000 with demo parcels"
	@echo "make test    install if needed, run the whole test suite (PYTEST_ARGS=... to narrow it)"
	@echo "make test-faults  the whole suite with 5 % of our commits refused by PostgreSQL (40001)"
	@echo "make check   formatting, lint, types, import rules, lock files"
	@echo "make chaos   P1's faults in full: 200 kills, every named point four times, disk, clock, carrier"
	@echo "make promises  every promise in its long form; P=p13 for one alone; figures in build/promises.json"
	@echo "make mutants  which small wrongs in limiters, fence and egress the tests see; score in build/mutants.json"
	@echo "make bench   measure speed beside limits of the same run; figures in build/bench.json"
	@echo "make bench-large  the size rows at 5 million parcels and 10 million due; takes its time"
	@echo "make poll-budget  a simulated month of asking carriers beside a question every two hours"
	@echo "make recognition  how good the recognition of numbers is, on numbers whose carrier is known"
	@echo "make supply  bill of materials (build/sbom.json) against what is installed, bandit"
	@echo "make lock    write the lock files anew (LOCK_ARGS=--upgrade for newer versions)"
	@echo "make clean   remove the virtual environment (never the state)"

run: $(BIN)/.installed
	@MILEPOST_STATE_DIR="$${MILEPOST_STATE_DIR:-$(CURDIR)/.state}" exec $(BIN)/milepost demo

# Most tests wait more than they reckon, so they run beside each other, a file at a time. Promises
# that load the machine themselves or look at a clock come after them, two at a time: they wait as
# well, and their bounds bear one more. The order stays: by the number of their tests, as xdist would
# have it, the files that take longest would come last. 5: nothing to run.
define suite
	@$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder -m "not promise or beside" $(1); \
	tests=$$?; \
	$(BIN)/python -m pytest -n $(PROMISE_PROCESSES) --dist loadfile --no-loadscope-reorder -m "promise and not beside" $(1); \
	promises=$$?; \
	if [ $$tests -ne 0 ] && [ $$tests -ne 5 ]; then exit $$tests; fi; \
	if [ $$promises -ne 0 ] && [ $$promises -ne 5 ]; then exit $$promises; fi; \
	[ $$tests -eq 0 ] || [ $$promises -eq 0 ]
endef

test: $(BIN)/.installed-dev
	$(call suite,$(PYTEST_ARGS))

# COMMIT_FAULTS=0.05:7 repeats the dice of a run that named its seed 7.
test-faults: $(BIN)/.installed-dev
	$(call suite,--commit-faults "$${COMMIT_FAULTS:-0.05}" $(PYTEST_ARGS))

check: $(BIN)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pip check
	$(BIN)/python -m pytest -q tests/test_lock.py

# Each figure goes to one JSON file and replaces that of an earlier run, so parts may be run alone.
LONG := CI=true PROMISES_JSON="$${PROMISES_JSON:-$(CURDIR)/build/promises.json}" \
    CHAOS_KILLS="$${CHAOS_KILLS:-200}" CHAOS_SUBSCRIBED="$${CHAOS_SUBSCRIBED:-4}" CHAOS_PAUSE_SECONDS="$${CHAOS_PAUSE_SECONDS:-60}" \
    FULL_DISK_SECONDS="$${FULL_DISK_SECONDS:-20}" WRONG_CLOCK_SECONDS="$${WRONG_CLOCK_SECONDS:-30}" \
    BAD_CARRIER_SECONDS="$${BAD_CARRIER_SECONDS:-60}" \
    MODEL_RUNS="$${MODEL_RUNS:-2000}" MODEL_STEPS="$${MODEL_STEPS:-50}" \
    P4_MINUTE="$${P4_MINUTE:-1}" P5_ENDPOINTS="$${P5_ENDPOINTS:-200}" P5_PARCELS="$${P5_PARCELS:-100}" \
    P6_BACKLOG="$${P6_BACKLOG:-1000000}" P6_SECONDS="$${P6_SECONDS:-60}" \
    P7_PARCELS="$${P7_PARCELS:-1000000}" P7_SECONDS="$${P7_SECONDS:-600}" \
    P8_FACTOR="$${P8_FACTOR:-3}" P8_ANSWER_SECONDS="$${P8_ANSWER_SECONDS:-3}" \
    P9_SECONDS="$${P9_SECONDS:-300}" P10_KEYS="$${P10_KEYS:-200}" P10_AT_ONCE="$${P10_AT_ONCE:-100}" \
    P13_SECONDS="$${P13_SECONDS:-180}" P13_SERVERS="$${P13_SERVERS:-4}" \
    FUZZ_EXAMPLES="$${FUZZ_EXAMPLES:-100}" FUZZ_SECONDS="$${FUZZ_SECONDS:-60}" \
    P19_PARCELS="$${P19_PARCELS:-1000000}" UPGRADE_PARCELS="$${UPGRADE_PARCELS:-1000000}"
# P1 is tested in tests/chaos, parts of P15 and P19 with what they are about.
BESIDE_p1 := tests/chaos
BESIDE_p15 := tests/contract/test_own_openapi.py
BESIDE_p19 := tests/upgrade
WHICH = $(if $(P),$(wildcard tests/promises/test_$(P)_*.py tests/promises/test_$(P).py) $(BESIDE_$(P)))

chaos: $(BIN)/.installed-dev
	$(LONG) $(BIN)/python -m pytest -m promise tests/chaos $(PYTEST_ARGS)

# make promises P=p8 for one of them.
promises: $(BIN)/.installed-dev
	@if [ -n "$(P)" ] && [ -z "$(strip $(WHICH))" ]; then echo "no test of promise $(P) in tests/promises" >&2; exit 2; fi
	$(LONG) $(BIN)/python -m pytest -m promise $(WHICH) $(PYTEST_ARGS)

# MUTANTS_ARGS="fence --every 5" for a sample of one subject.
mutants: $(BIN)/.installed-dev
	$(BIN)/python -m tests.mutants $(MUTANTS_ARGS)

bench: $(BIN)/.installed-dev
	$(BIN)/python -m bench $(BENCH_ARGS)

# A virtual clock and no database: steady where the rest of bench is not. 100,000 parcels.
poll-budget: $(BIN)/.installed-dev
	$(BIN)/python -m bench.month $(MONTH_ARGS)

bench-large: $(BIN)/.installed-dev
	$(BIN)/python -m bench --large $(BENCH_ARGS)

recognition: $(BIN)/.installed-dev
	@$(BIN)/python -m tests.carriers.recognition_figures
	@$(BIN)/python -m tests.carriers.recognition_folds

# Slow, and the same on every machine of one lock file: by hand before a release.
supply: $(BIN)/.installed-dev
	SUPPLY=1 $(BIN)/python -m pytest -q tests/test_supply.py

# A stamp is newer than its lock exactly when what the lock says is installed.
$(BIN)/.installed: installer.lock requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing Milepost into $(VENV) (once)"
	$(call install,--require-hashes --no-deps -r requirements.lock)
	$(call install,--no-deps --no-build-isolation -e .)
	@touch $@

$(BIN)/.installed-dev: requirements-dev.lock $(BIN)/.installed
	@echo "Installing the development tools into $(VENV)"
	$(call install,--require-hashes --no-deps -r requirements-dev.lock)
	@touch $@

$(BIN)/python:
	@for python in "$(PYTHON)" python3 python3.13 python3.12 python3.11; do \
	    if "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then \
	        exec "$$python" -m venv $(VENV); \
	    fi; \
	done; \
	echo "Milepost needs Python 3.11, 3.12 or 3.13; name it with PYTHON=/path/to/python" >&2; exit 1

# Universal: one file for Python 3.11 to 3.13 on Linux and macOS. --no-config keeps local indexes out.
COMPILE := $(BIN)/uv pip compile --quiet --no-config --universal --python-version 3.11 \
    --generate-hashes --no-emit-index-url --no-header
lock: $(BIN)/.installed
	$(COMPILE) $(LOCK_ARGS) --group installer --output-file installer.lock
	$(COMPILE) $(LOCK_ARGS) pyproject.toml --group build --output-file requirements.lock
	$(COMPILE) $(LOCK_ARGS) pyproject.toml --group build --group dev \
	    --constraint requirements.lock --output-file requirements-dev.lock

clean:
	rm -rf $(VENV)

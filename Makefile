# The commands that everybody needs come first. Each one works as the first command after a clone.
PYTHON ?= python3
VENV   := .venv
RUN    := $(VENV)/bin/
READY  := $(VENV)/.installed

# Compiled modules are kept, whatever the environment says of them: hundreds of tests start an interpreter, and would compile the library anew.
export PYTHONDONTWRITEBYTECODE :=

# What the matrix covers beside $(PYTHON), which is the oldest one supported.
OTHERS := 3.12 3.13
PYENV_ROOT ?= $(shell pyenv root 2>/dev/null || echo $(HOME)/.pyenv)
find-python = $(firstword $(wildcard $(PYENV_ROOT)/versions/$(1).*/bin/python) $(shell command -v python$(1) 2>/dev/null))

PYTEST := -m pytest $(PYTEST_ARGS)
# Without the harness's own tests: some need what only `make test` installs. On other Pythons the explorer proves itself, too; not
# under coverage, which traces as it does, nor with an old AnyIO, in which it finds errors.
OTHER  := --ignore tests/harness --ignore tests/compare
CORE   := $(OTHER) --ignore tests/explore
# A thread that leaks and is not daemonic hangs after "passed": only a limit from outside ends that.
# In the foreground, or Ctrl-C would not reach what runs under it.
# Where there is no GNU timeout, nothing is limited.
TIMEOUT := $(shell timeout --foreground -k 1 10 true 2>/dev/null && echo timeout --foreground -k 10)
limit   = $(if $(TIMEOUT),$(TIMEOUT) $(1))
LIMIT  := $(call limit,1800)

.PHONY: demo test check lint types typing-tests coverage test-lowest test-ecosystem sabotage explore explore-quick stress soak bench bench-smoke clean help
.PHONY: compare compare-ours dist dist-check explorer $(OTHERS:%=explorer-%)
.PHONY: $(OTHERS:%=test-%)

demo: $(READY)  ## the library at work: a web service, a database, threads, Ctrl-C, fork, exit
	$(call limit,60) $(RUN)python docs/examples/code_search

test: $(READY)  ## the test suite
	$(LIMIT) $(RUN)python $(PYTEST)

# Three at a time, as tests wait more than they work; each tells its part when it ends, where this make can hold that back.
TOGETHER = $(MAKE) --no-print-directory --jobs 3 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

# The README's own command is the first of them. The last run is alone, and its closing line is the gate's.
check: $(READY)  ## everything that the gate asks for: some twenty minutes on two cores
	@$(TOGETHER) test lint types typing-tests model-if-there compare-ours coverage $(OTHERS:%=test-%) dist-check docs explore-quick
	@$(MAKE) --no-print-directory test-lowest

lint: $(READY)  ## format, lint, which module may import which, and whether the sabotage patches still apply
	$(RUN)ruff format --check .
	$(RUN)ruff check .
	$(RUN)lint-imports
	cd tests && ../$(RUN)python -m sabotage.run --check

types: $(READY)  ## mypy and pyright, both strict; verifytypes and stubtest run on the wheel, see typing-tests
	$(RUN)mypy
	$(RUN)pyright --pythonpath $(RUN)python

typing-tests: $(READY)  ## signatures, as users' type checkers see them on the built wheel
	$(LIMIT) $(RUN)python typing_tests/run.py

coverage: $(READY)  ## the suite in Python's development mode, where every warning is an error; every branch must be taken
	$(LIMIT) $(RUN)python -X dev -W error -m coverage run $(PYTEST) $(CORE)
	$(RUN)coverage combine --quiet
	$(RUN)coverage report

$(OTHERS:%=test-%): test-%:  ## the suite on another Python, where it is found; in CI it must be
	@python="$(call find-python,$*)"; \
	if [ -n "$$python" ]; then \
	    $(MAKE) --no-print-directory PYTHON="$$python" VENV=.venv-$* GROUP=test on-another; \
	elif [ -n "$$CI" ]; then echo "make: Python $* was not found, and CI needs it"; exit 1; \
	else echo "make: Python $* was not found: not tested"; fi

.PHONY: on-another
on-another: $(READY)
	$(LIMIT) $(RUN)python $(PYTEST) $(OTHER)

# AnyIO's plugin of that time uses a name that pytest has deprecated since, which the pages, that run pytest as users do, would say.
test-lowest:  ## the suite with the oldest AnyIO that the package's metadata allows
	@$(MAKE) --no-print-directory VENV=.venv-lowest GROUP=test CONSTRAINTS=.venv-lowest.txt lowest

.PHONY: lowest
lowest: $(READY)
	$(LIMIT) $(RUN)python $(PYTEST) $(CORE) --ignore tests/pages -W "ignore::pytest.PytestDeprecationWarning"

.venv-lowest.txt: constraints.txt pyproject.toml
	sed "s/^anyio==.*/anyio==$$(sed -n 's/^dependencies = \["anyio>=\([0-9.]*\),.*/\1/p' pyproject.toml)/" constraints.txt > $@

# Frameworks are installed for these tests alone. What one of them needs beside Python, it names where it is missing.
test-ecosystem:  ## real frameworks, over real sockets and processes
	@$(MAKE) --no-print-directory VENV=.venv-ecosystem GROUP=ecosystem ecosystem

.PHONY: ecosystem
ecosystem: $(READY)
	$(LIMIT) $(RUN)python $(PYTEST) tests/ecosystem

GROUP       ?= dev
CONSTRAINTS ?= constraints.txt
$(READY): pyproject.toml $(CONSTRAINTS)
	@command -v $(PYTHON) >/dev/null || { echo "make: Python 3.11 or newer is needed, and $(PYTHON) was not found; pass PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: Python 3.11 or newer is needed, and $(PYTHON) is older; pass PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(RUN)python -m pip install --quiet --upgrade "pip>=25.1"
	$(RUN)python -m pip install --quiet --constraint $(CONSTRAINTS) --editable . --group $(GROUP)
	@touch $@

sabotage: $(READY)  ## each patch breaks one promise; who should notice must; NAMES, JOBS, TABLE=FILE; MATRIX=1 has every layer try, for hours
	cd tests && $(call limit,$(if $(MATRIX),36000,3600)) ../$(RUN)python -m sabotage.run $(NAMES) \
	    $(if $(MATRIX),--matrix) $(if $(JOBS),--jobs $(JOBS)) $(if $(TABLE),--table $(abspath $(TABLE)))

# Long: not part of the gate. mutmut is installed for this alone.
MUTANTS = $(if $(ROOMS),--rooms $(ROOMS)) $(if $(EVERY),--every $(EVERY)) $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(SEED),--seed $(SEED)) \
    $(if $(JOBS),--jobs $(JOBS)) $(if $(filter-out file,$(origin SECONDS)),--seconds $(SECONDS)) $(if $(AGAIN),--again $(AGAIN)) \
    $(if $(AT_MOST),--at-most $(AT_MOST)) $(if $(KEEP),--into ../docs/verification)
mutants:  ## changes by a machine, of which some test must say so; SAMPLE=5 or EVERY=10, SEED, ROOMS, SECONDS, JOBS, KEEP=1
	@$(MAKE) --no-print-directory VENV=.venv-mutants GROUP=mutants mutated

.PHONY: mutants mutated
mutated: $(READY)
	$(LIMIT) $(RUN)python $(PYTEST) -q tests/mutants
	cd tests && ../$(RUN)python -m mutants $(MUTANTS)

model:  ## the Promela model of the portals' life, exhausted by Spin; each error put in must be found; TABLE=FILE
	$(call limit,1200) $(PYTHON) docs/verification/check_model.py $(if $(TABLE),--table $(TABLE))

.PHONY: model model-if-there
model-if-there:
	@if [ -n "$$CI" ] || { command -v spin && command -v gcc; } >/dev/null; then $(MAKE) --no-print-directory model; \
	else echo "make: spin or gcc was not found: the model is not checked"; fi

explorer: $(READY) $(OTHERS:%=explorer-%)  ## the explorer proves itself, on each supported Python: counts, a catalogue of bugs, verdicts
	$(LIMIT) $(RUN)python $(PYTEST) tests/explore

$(OTHERS:%=explorer-%): explorer-%:
	@python="$(call find-python,$*)"; \
	if [ -n "$$python" ]; then \
	    $(MAKE) --no-print-directory PYTHON="$$python" VENV=.venv-$* GROUP=test OTHERS= explorer; \
	elif [ -n "$$CI" ]; then echo "make: Python $* was not found, and CI needs it"; exit 1; \
	else echo "make: Python $* was not found: not tested"; fi

EXPLORE = cd stress && ../$(RUN)python -m schedules $(if $(JOBS),--jobs $(JOBS)) $(if $(JSON),--json $(abspath $(JSON)))
explore: $(READY)  ## every schedule of small scenarios of our own code; NAMES, JOBS, SECONDS, PREEMPTIONS, PCT, JSON
	$(EXPLORE) $(NAMES) $(if $(filter-out file,$(origin SECONDS)),--seconds $(SECONDS)) \
	    $(if $(PREEMPTIONS),--preemptions $(PREEMPTIONS)) $(if $(PCT),--pct $(PCT))

explore-quick: $(READY)  ## the small ones whole, samples of the rest, in three minutes on two cores
	$(EXPLORE) --quick

SECONDS := 30
stress: $(READY)  ## all scenarios against the library, with faults; SECONDS=3600 for longer
	$(RUN)python -m stress --seconds $(SECONDS)

soak: $(READY)  ## a million calls, 50,000 portals, forks, exits, interrupts: each bar with what was measured; JOBS, JSON
	$(RUN)python -m stress --bars $(if $(JOBS),--jobs $(JOBS)) $(if $(JSON),--json $(JSON))

bench: $(READY)  ## ratios against peers: pinned to one core, and free; PYTHONS=1 for the other Pythons, too
	cd stress && $(call limit,3600) ../$(RUN)python -m bench --soak --json ../docs/performance.json
	@$(if $(PYTHONS),$(MAKE) --no-print-directory $(OTHERS:%=bench-%))

profile: $(READY)  ## where the time of a call goes, step by step, for each bar that is not met: some three minutes
	cd stress && $(call limit,900) ../$(RUN)python -m bench.profile --json ../docs/profile.json

.PHONY: profile bench-page measured $(OTHERS:%=bench-%)
$(OTHERS:%=bench-%): bench-%:
	@python="$(call find-python,$*)"; \
	if [ -n "$$python" ]; then $(MAKE) --no-print-directory PYTHON="$$python" VENV=.venv-bench-$* GROUP=bench measured; \
	else echo "make: Python $* was not found: not measured"; fi

measured: $(READY)
	cd stress && $(call limit,1800) ../$(RUN)python -m bench --smoke --setting pinned --seconds 2 --rounds 25 --json ../docs/performance.json

bench-page: $(READY)  ## the page about performance, and its figure, from what `make bench` and `make profile` have measured
	cd stress && ../$(RUN)python -m bench.page

bench-smoke: $(READY)  ## the figures with a bar, in under a minute
	cd stress && $(call limit,120) ../$(RUN)python -m bench --smoke

# An environment of its own, so that `make test` need not install Sphinx.
DOCS := .venv-docs
.PHONY: docs docs-check figures site
docs:  ## the site, in build/docs: warnings are errors, nothing is fetched
	@$(MAKE) --no-print-directory VENV=$(DOCS) GROUP=docs site

site: $(READY)
	rm -rf build/docs
	$(RUN)sphinx-build -q -W --keep-going -c docs/site -d build/doctrees docs build/docs
	@echo "open build/docs/index.html"

# Each is kept as soon as it is there: the next one may take an hour, or find something.
figures: $(READY)  ## run what the page about verification shows, and keep it in docs/verification; SECONDS of stress
	mkdir -p build
	$(RUN)python -m stress --seconds $(SECONDS) --json build/stress.json
	$(RUN)python docs/site/keep.py stress build/stress.json
	$(MAKE) --no-print-directory soak JSON=build/soak.json
	$(RUN)python docs/site/keep.py soak build/soak.json
	$(MAKE) --no-print-directory explore JSON=build/explore.json
	$(RUN)python docs/site/keep.py explore build/explore.json
	$(MAKE) --no-print-directory explore PCT=5000 JSON=build/samples.json
	$(RUN)python docs/site/keep.py samples build/samples.json

docs-check: docs  ## the site's links and anchors; each page in a headless Chromium, desktop and phone, light and dark
	$(call limit,300) $(DOCS)/bin/python docs/site/check.py build/docs
NEWEST := $(lastword $(OTHERS))
BESIDE := build/comparison-beside.json
compare:  ## the table of guarantees, library by library, into docs/; about ten minutes for each of two Pythons
	@mkdir -p build && rm -f $(BESIDE)
	@python="$(call find-python,$(NEWEST))"; \
	if [ -n "$$python" ]; then \
	    $(MAKE) --no-print-directory PYTHON="$$python" VENV=.venv-compare-$(NEWEST) GROUP=compare \
	        COMPARED="--json ../$(BESIDE)" compared; \
	else echo "make: Python $(NEWEST) was not found: compared on one Python only"; fi
	@$(MAKE) --no-print-directory VENV=.venv-compare GROUP=compare \
	    COMPARED="--json ../docs/comparison.json --markdown ../docs/comparison.md --beside ../$(BESIDE)" compared

.PHONY: compared
compared: $(READY)
	cd stress && $(call limit,1800) ../$(RUN)python -m peers $(COMPARED)

compare-ours: $(READY)  ## our own column of that table: each cell must hold
	cd stress && $(call limit,300) ../$(RUN)python -m peers --ours --race-seconds 4

dist:  ## wheel, sdist and bill of materials into dist/, built twice to the same bytes
	@$(MAKE) --no-print-directory VENV=.venv-dist GROUP=dist distributed

dist-check:  ## the same, checked, and installed into an empty environment
	@$(MAKE) --no-print-directory VENV=.venv-dist GROUP=dist DIST=--check distributed

.PHONY: distributed
distributed: $(READY)
	cd tests && $(LIMIT) ../$(RUN)python -m release $(DIST)

clean:  ## remove whatever make has made
	rm -rf .venv* dist build .coverage* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

help:  ## this list
	@awk -F ':.*##  *' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

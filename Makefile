# The commands that everybody needs come first. Each one works as the first command after a clone.
PYTHON ?= python3
VENV   := .venv
RUN    := $(VENV)/bin/

.PHONY: demo test check lint types typing-tests bench sabotage clean

demo: $(VENV)/.installed  ## the library at work: a web service, a database, threads, Ctrl-C, fork
	timeout -k 10 60 $(RUN)python docs/examples/code_search

test: $(VENV)/.installed  ## the test suite
	timeout -k 10 600 $(RUN)python -m pytest $(PYTEST_ARGS)

check: lint types test  ## everything that the gate asks for

lint: $(VENV)/.installed
	$(RUN)ruff check src tests
	$(RUN)ruff format --check src tests

types: $(VENV)/.installed
	$(RUN)mypy

$(VENV)/.installed: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "make: Python 3.11 or newer is needed, and $(PYTHON) was not found; pass PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(RUN)python -m pip install --quiet --upgrade "pip>=25.1"
	$(RUN)python -m pip install --quiet --constraint constraints.txt --editable . --group dev
	@touch $@

typing-tests: $(VENV)/.installed  ## signatures, as users' type checkers see them on the built wheel
	timeout -k 10 600 $(RUN)python typing_tests/run.py

bench: $(VENV)/.installed  ## ratios against peers: pinned to one core, and free
	cd stress && timeout -k 10 900 ../$(RUN)python -m bench

sabotage: $(VENV)/.installed  ## each patch breaks one promise; the suite must notice
	timeout -k 10 1800 $(RUN)python tests/sabotage/run.py

clean:
	rm -rf $(VENV) .venv-* dist build .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis

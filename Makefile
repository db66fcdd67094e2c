# The commands that everybody needs come first. Each one works as the first command after a clone.
PYTHON ?= python3
VENV   := .venv
RUN    := $(VENV)/bin/

.PHONY: test check lint types clean

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

clean:
	rm -rf $(VENV) .venv-* dist build .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis

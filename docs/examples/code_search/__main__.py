"""Run the directory: `python docs/examples/code_search`."""

import sys
from importlib import import_module
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)  # so that the modules here are a package, and import each other
    sys.exit(import_module("code_search.demo").main())

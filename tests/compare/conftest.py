"""The comparison lives in stress/; the libraries that are wrong on purpose, here."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2] / "stress"), str(Path(__file__).parent)]

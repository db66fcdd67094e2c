"""The command line: which cells, and where the table goes."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import report
from .cell import LIMIT_S, play
from .libraries import MODULES, library
from .model import Cell
from .scenarios import SCENARIOS, race

GOOD, FAILS, ERROR = 0, 1, 2
"""The exit status: all as it should be; a cell asked for by name, or one of ours, fails; a scenario was at fault."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m peers", description="Guarantees, library by library, as observed.")
    parser.add_argument("scenario", nargs="?", choices=list(SCENARIOS), metavar="SCENARIO", help="one guarantee")
    parser.add_argument("library", nargs="?", metavar="LIBRARY", help="one library, or a module of yours with a LIBRARY: a.b")
    parser.add_argument("--ours", action="store_true", help="only our own column; status 1 if a cell of it does not hold")
    parser.add_argument("--race-seconds", type=float, default=40.0, metavar="N", help="how long a race is tried (default 40)")
    parser.add_argument("--limit", type=float, default=LIMIT_S, metavar="N", help="seconds until a process hangs (default 30)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="cells at a time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all cells to FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table into FILE, between its two marks")
    parser.add_argument("--beside", type=Path, metavar="FILE", help="JSON of another Python: the page says what differs there")
    parser.add_argument("--list", action="store_true", help="name the guarantees and the libraries")
    asked = parser.parse_args()
    if (asked.scenario is None) != (asked.library is None):
        parser.error("a single cell needs SCENARIO and LIBRARY")
    return asked


def main() -> int:
    asked = _arguments()
    os.environ[race.VARIABLE] = str(asked.race_seconds)
    if asked.list:
        for scenario in SCENARIOS.values():
            print(f"{scenario.name:<26} {scenario.promise:<4} {scenario.says}")
        print("libraries:", ", ".join(MODULES))
        return GOOD
    if asked.scenario is not None:
        return _one(play(SCENARIOS[asked.scenario], asked.library, asked.limit))
    libraries = ["ours"] if asked.ours else _installed()
    cells = _all(libraries, asked.jobs, asked.limit)
    if asked.json is not None:
        report.write_json(asked.json, libraries, cells)
    if asked.markdown is not None:
        report.write_markdown(asked.markdown, libraries, cells, asked.beside)
    return _conclude(cells)


def _installed() -> list[str]:
    for name in MODULES:
        try:
            library(name)
        except ModuleNotFoundError as error:
            raise SystemExit(f"{name} is not installed ({error}); `make compare` installs all that is compared") from error
    return list(MODULES)


def _all(libraries: Sequence[str], jobs: int, limit_s: float) -> list[Cell]:
    wanted = [(scenario, name) for scenario in SCENARIOS.values() for name in libraries]
    cells = []
    with ThreadPoolExecutor(max(1, jobs)) as executor:
        for cell in executor.map(lambda pair: play(*pair, limit_s), wanted):
            cells.append(cell)
            print(report.line(cell), flush=True)
    return cells


def _one(cell: Cell) -> int:
    if cell.stderr:
        print(cell.stderr, file=sys.stderr, end="")
    print(report.line(cell))
    return {"holds": GOOD, "not offered": GOOD, "fails": FAILS, "error": ERROR}[cell.outcome]


def _conclude(cells: Sequence[Cell]) -> int:
    bad = [cell for cell in cells if cell.outcome == "error"]
    short = [cell for cell in cells if cell.library == "ours" and cell.outcome != "holds"]
    for cell in bad + short:
        print(f"\nAGAIN: cd stress && python -m peers {cell.scenario} {cell.library}\n{cell.stderr}", file=sys.stderr)
    holding = sum(cell.outcome == "holds" for cell in cells if cell.library == "ours")
    print(f"{len(cells)} cells; of ours {holding} of {len(SCENARIOS)} hold")
    return ERROR if bad else FAILS if short else GOOD


if __name__ == "__main__":
    sys.exit(main())

"""The command line: which ladders, how long, and where the figures go."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import peers, record
from ..child import ChildError, measured
from ..model import Result
from . import tables
from .ladders import LADDERS, NEEDS, PROFILE

SECONDS = 8.0
ROUNDS = 41


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description="What each step of a call costs.")
    parser.add_argument("--ladder", action="append", choices=list(LADDERS), help="only this one; may be repeated")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"time for each ladder (default {SECONDS:g})")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"that the time is cut into (default {ROUNDS})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to FILE, beside those of other ladders")
    parser.add_argument("--list", action="store_true", help="name the ladders")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    chosen = _arguments(given)
    if chosen.list:
        for ladder in LADDERS.values():
            print(f"{ladder.name:<18} {ladder.workload.says}")
        return 0
    versions = peers.versions()
    results: dict[str, Result] = {}
    status = 0
    for name in chosen.ladder or LADDERS:
        if versions[NEEDS.get(name, "anyio")] is None:
            print(f"NOT FOUND, so there is no ladder {name}: {NEEDS[name]}")
            continue
        try:
            results[name] = measured(PROFILE + name, "pinned", chosen.seconds * LADDERS[name].patience, max(2, chosen.rounds))
        except ChildError as error:
            status = 1
            print(f"CRASH: {error}", file=sys.stderr)
            continue
        tables.show(LADDERS[name], results[name])
    if chosen.json is not None:
        _write(chosen.json, results)
    return status


def _write(file: Path, results: dict[str, Result]) -> None:
    before: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {"results": []}
    earlier = {result.workload: result for result in record.results_of(before)}
    run = {"python": platform.python_version(), **record.header(), "results": record.figures({**earlier, **results}.values())}
    file.write_text(json.dumps(run, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())

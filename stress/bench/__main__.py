"""The command line: which workloads, how long, and where the figures go."""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import sys
from pathlib import Path
from typing import Any

from . import peers, record, report
from .bars import Results, needed, verdicts
from .child import ChildError, can_pin, measured, soaked
from .model import SETTINGS, Setting
from .workloads import NEEDS, WORKLOADS

SMOKE_FREE = ("syncify", "asyncify")
"""What the smoke run measures free, too."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="What a bridge call costs, as ratios to its peers.")
    parser.add_argument("--workload", action="append", choices=list(WORKLOADS), help="only this one; may be repeated")
    parser.add_argument("--setting", action="append", choices=SETTINGS, help="only pinned to one core, or only free")
    parser.add_argument("--seconds", type=float, help="time for each workload in each setting (default 2.5; smoke 1.2)")
    parser.add_argument("--rounds", type=int, help="rounds that the time is cut into, at least 2 (default 25; smoke 9)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to FILE, beside those of other Pythons")
    parser.add_argument("--soak", action="store_true", help="a million calls, too: what memory and threads are afterwards")
    parser.add_argument("--smoke", action="store_true", help="only the bars, one a line: name value bar ok|short")
    parser.add_argument("--list", action="store_true", help="name the workloads")
    return parser.parse_args()


def _plan(chosen: argparse.Namespace, versions: dict[str, str | None]) -> list[tuple[str, Setting]]:
    names = chosen.workload or list(WORKLOADS)
    names = [name for name in names if versions.get(NEEDS.get(name.rpartition("-")[2], "anyio")) is not None]
    settings: list[Setting] = [s for s in SETTINGS if s in (chosen.setting or SETTINGS) and (s == "free" or can_pin())]
    if chosen.smoke:
        names = needed(names)
    return [
        (name, setting)
        for name in names
        for setting in settings
        if setting in WORKLOADS[name].settings and not (chosen.smoke and setting == "free" and name not in SMOKE_FREE)
    ]


def main() -> int:
    chosen = _arguments()
    if chosen.list:
        for workload in WORKLOADS.values():
            print(f"{workload.name:<18} {workload.says}")
        return 0
    seconds: float = chosen.seconds or (1.2 if chosen.smoke else 2.5)
    rounds: int = max(2, chosen.rounds or (9 if chosen.smoke else 25))
    versions = peers.versions()
    if not chosen.smoke:
        print(f"Python {platform.python_version()} on {platform.system()} {platform.machine()}")
        report.show_peers(versions)
        if not can_pin():
            print("This system cannot pin a process to a core: everything is measured free.")
    results: Results = {}
    crashed = False
    for name, setting in _plan(chosen, versions):
        try:
            result = results[name, setting] = measured(name, setting, seconds, rounds)
        except ChildError as error:
            crashed = True
            print(f"CRASH: {error}", file=sys.stderr)
            continue
        if not chosen.smoke:
            report.show(result)
    soak = soaked() if chosen.soak else None
    if soak is not None:
        report.show_soak(soak)
    judged = verdicts(results)
    if chosen.smoke:
        report.show_smoke(judged)
    else:
        report.show_verdicts(judged)
    if chosen.json is not None:
        _write(chosen.json, results, versions, soak)
    return 1 if crashed else 0


def _write(file: Path, results: Results, versions: dict[str, str | None], soak: dict[str, Any] | None) -> None:
    """Put this run beside those that *file* has of other Pythons, and of other workloads on this one."""
    runs: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    before = runs.get(platform.python_version(), {"results": [], "soak": None})
    results = {**{(result.workload, result.setting): result for result in record.results_of(before)}, **results}
    runs[platform.python_version()] = {
        **record.header(),
        "versions": versions,
        "bars": [dataclasses.asdict(verdict) for verdict in verdicts(results)],
        "soak": soak or before["soak"],
        "results": record.figures(results.values()),
    }
    file.write_text(json.dumps(dict(sorted(runs.items())), indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())

"""The command line: which scenarios, for how long, and what the exit status says."""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ._farm import LostError, Workers, cluster, processes
from ._stress import report
from ._stress.bars import Bar, Soak, table
from ._stress.campaign import Plan, Tally, run
from ._stress.catalogue import SCENARIOS

GOOD, VIOLATION, UNUSABLE, HANG, STOPPED, UNREAD = 0, 1, 2, 3, 130, 141
"""The exit status: nothing found; a violation or a leak; bad arguments; a hang; Ctrl-C; who read the output has closed it."""


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m gllm_core.concurrency.testing",
        description="Stress the installed gllm_core.concurrency on this machine.",
        epilog="Exit status: 0 nothing found; 1 a violation, a leak, a bar missed; 2 bad arguments; 3 a hang; 130 Ctrl-C; "
        "141 whoever read the output has closed it.",
    )
    parser.add_argument("--seconds", type=float, default=30.0, metavar="N", help="how long, in seconds (default 30)")
    parser.add_argument("--seed", type=int, metavar="S", help="the same choices for the same seed (default: a new one)")
    parser.add_argument("--scenario", action="append", choices=list(SCENARIOS), help="only this one; may be repeated")
    parser.add_argument("--round", type=int, metavar="R", help="only this round of the one --scenario, until it fails")
    parser.add_argument("--limit", type=float, default=60.0, metavar="N", help="seconds until a round is a hang (default 60)")
    parser.add_argument("--slice", type=float, metavar="N", help="seconds that a child process lives (default: what fits)")
    parser.add_argument("--rounds", type=int, metavar="N", help="so many rounds of each scenario, however long that takes")
    share = "run the soak: as much of everything as its bars ask for, or that SHARE of it"
    parser.add_argument("--bars", type=float, nargs="?", const=1.0, metavar="SHARE", help=share)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes at a time")
    where.add_argument("--scheduler", metavar="ADDRESS", help="use the workers of this dask.distributed scheduler")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that is known to FILE")
    parser.add_argument("--list", action="store_true", help="say what the scenarios do")
    asked = parser.parse_args(arguments)
    if asked.round is not None and (len(asked.scenario or ()) != 1 or asked.seed is None):
        parser.error("--round needs --seed and one --scenario")
    for name in ("seconds", "limit", "slice", "rounds", "bars", "jobs"):
        value = getattr(asked, name)
        if value is not None and not value > 0:  # NaN is not, either
            parser.error(f"--{name} must be more than 0")
    if asked.round is not None and asked.round < 0:
        parser.error("--round must be 0 or more")
    if asked.bars is not None and (asked.scenario or asked.rounds):
        parser.error("--bars has scenarios and rounds of its own; leave --scenario, --round and --rounds out")
    if asked.json is not None and not asked.json.absolute().parent.is_dir():  # said before the run, not after an hour
        parser.error(f"--json: there is no folder {str(asked.json.absolute().parent)!r}; make it first")
    if asked.json is not None and asked.json.is_dir():
        parser.error(f"--json: {str(asked.json)!r} is a folder; name a file in it")
    return asked


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for. Returns the exit status."""
    try:
        status = _run(_arguments(arguments))
        sys.stdout.flush()
    except BrokenPipeError:
        with suppress(BrokenPipeError):
            print(flush=True)
            raise  # it was another pipe
        # Or the interpreter would report, at its end, what it cannot write.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD
    return status


def _run(asked: argparse.Namespace) -> int:
    if asked.list:
        for scenario in SCENARIOS.values():
            print(f"{scenario.name:<14} {scenario.says}")
        return GOOD
    asked.seed = random.randrange(10**6) if asked.seed is None else asked.seed
    print(f"{report.versions()}\nseed {asked.seed}", end=", ", flush=True)
    campaign = _Stress(asked) if asked.bars is None else _Soak(asked)
    try:
        with processes(asked.jobs) if asked.scheduler is None else cluster(asked.scheduler) as workers:
            campaign.run(workers)
    except KeyboardInterrupt:
        return _conclude(asked, campaign, stopped=True)
    except LostError as error:
        print(f"given up: {error}", file=sys.stderr)
        return VIOLATION
    return _conclude(asked, campaign)


class _Stress:
    """Scenarios in turn, for as long as was asked for."""

    def __init__(self, asked: argparse.Namespace) -> None:
        self._asked = asked
        self._plan: Plan | None = None
        self._tallies = {name: Tally(name, SCENARIOS[name].says) for name in asked.scenario or SCENARIOS}

    def run(self, workers: Workers) -> None:
        plan = self._plan = _plan(self._asked, workers.slots)
        print(f"{plan.length}, {workers.says}", flush=True)
        with report.progress(plan) as progress:
            run(plan, self._tallies, workers, progress)

    def tallies(self) -> list[Tally]:
        return list(self._tallies.values())

    def bars(self) -> list[Bar]:
        return []

    def known(self) -> dict[str, Any]:
        return {"plan": self._plan, "scenarios": self.tallies()}


class _Soak:
    """As much of everything as the bars ask for."""

    def __init__(self, asked: argparse.Namespace) -> None:
        self._soak = Soak(asked.seed, asked.limit, asked.bars)

    def run(self, workers: Workers) -> None:
        print(workers.says, flush=True)
        self._soak.run(workers, report.SoakProgress())

    def tallies(self) -> list[Tally]:
        return list(self._soak.tallies.values())

    def bars(self) -> list[Bar]:
        return self._soak.bars()

    def known(self) -> dict[str, Any]:
        return self._soak.as_dict()


def _plan(asked: argparse.Namespace, slots: int) -> Plan:
    chosen = [SCENARIOS[name] for name in asked.scenario or SCENARIOS]
    return Plan(
        scenarios=tuple((scenario.name, scenario.says) for scenario in chosen),
        seed=asked.seed,
        seconds=asked.seconds,
        limit_s=asked.limit,
        jobs=slots,
        slice_s=asked.slice,
        round=asked.round,
        rounds=asked.rounds,
    )


def _conclude(asked: argparse.Namespace, campaign: _Stress | _Soak, *, stopped: bool = False) -> int:
    tallies = campaign.tallies()
    print(f"\n{report.table(tallies)}\n{report.details(tallies)}")
    bad = [result for tally in tallies for result in tally.bad]
    for result in bad:
        print(f"\n{report.failure(result, asked.limit)}")
    if stopped:  # nothing is kept: a bar would be judged by a part of what it asks for
        print("\nstopped by Ctrl-C; what was still under way is not counted")
        return STOPPED
    bars = campaign.bars()
    hung = any(result.hang is not None for result in bad)
    status = HANG if hung else VIOLATION if bad or not all(bar.ok for bar in bars) else GOOD
    unwritten = False
    if asked.json is not None:
        again = [report.again(result, asked.limit) for result in bad]
        known = {"versions": report.versions(), "seed": asked.seed, "status": status, **campaign.known(), "again": again}
        try:
            asked.json.write_text(json.dumps(known, indent=1, default=vars) + "\n")
        except OSError as error:
            print(f"--json: nothing was written: {error}", file=sys.stderr)
            unwritten = True
    print({GOOD: "\nnothing found", VIOLATION: "\nVIOLATED" if bad else "\nSHORT", HANG: "\nHUNG"}[status])
    if bars:
        print(table(bars))
    return UNUSABLE if unwritten and status == GOOD else status

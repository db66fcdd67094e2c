"""`python -m schedules [NAME ...]`: explore scenarios of our own code, on one core, on several, or on a cluster.

Exit status: 0 nothing found, 1 a finding, with the command that replays it, 3 a schedule that never ended; 2 bad arguments,
130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TextIO
from zipfile import ZipFile

from gllm_core.concurrency.testing._farm import LostError, Workers, cluster, processes
from gllm_core.concurrency.testing.explore._campaign import Campaign, Explored
from gllm_core.concurrency.testing.explore._shard import Exploration, Shard, run_shard

from . import report
from .model import SCENARIOS, Scenario

GOOD, FOUND, HUNG, STOPPED = 0, 1, 3, 130
QUICK_SAMPLES = 100
"""How many schedules of a scenario that is too large to be exhausted a quick run samples."""
QUICK_S = 170.0
"""When a quick run stops, whatever is left, in seconds. What it cut off is not called exhausted."""


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    first, _, last = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(prog="python -m schedules", description=first, epilog=last)
    parser.add_argument("names", nargs="*", metavar="NAME", help="the scenarios (default: all): " + ", ".join(SCENARIOS))
    parser.add_argument(
        "--preemptions", type=int, metavar="N", help="all schedules with so many, not each scenario's own bound"
    )
    parser.add_argument(
        "--pct",
        type=int,
        metavar="N",
        help="sample so many schedules of each by random priorities instead; with --preemptions, as well",
    )
    parser.add_argument("--quick", action="store_true", help="exhaust what is small, sample the rest: for the gate")
    parser.add_argument("--seed", type=int, default=0, help="of the samples (default 0)")
    parser.add_argument("--seconds", type=float, metavar="S", help="stop after so many seconds, whatever is left")
    parser.add_argument(
        "--limit", type=float, default=60.0, metavar="S", help="seconds until a schedule is a hang (default 60)"
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes at a time")
    where.add_argument("--scheduler", metavar="ADDRESS", help="explore on the workers of this dask.distributed scheduler")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that is known to FILE")
    parser.add_argument("--replay", metavar="SCHEDULE", help="run this one schedule of the one NAME")
    asked = parser.parse_args(arguments)
    if unknown := set(asked.names) - SCENARIOS.keys():
        parser.error(f"no scenario of the name {', '.join(sorted(unknown))}; there are: {', '.join(SCENARIOS)}")
    if asked.replay is not None and len(asked.names) != 1:
        parser.error("--replay needs the one NAME that it is a schedule of")
    return asked


def main(arguments: Sequence[str] | None = None) -> int:
    """Explore what the command line asks for. Returns the exit status."""
    asked = _arguments(arguments)
    if asked.replay is not None:
        return _replay(SCENARIOS[asked.names[0]], asked.replay, asked.limit)
    seconds = QUICK_S if asked.quick and asked.seconds is None else asked.seconds
    campaign = Campaign(_explorations(asked), seconds=seconds, limit_s=asked.limit)
    began = time.monotonic()
    try:
        with ExitStack() as stack:
            workers = stack.enter_context(_workers(stack, asked))
            print(f"{report.versions()}\n{len(campaign.all)} explorations, seed {asked.seed}, {workers.says}", flush=True)
            progress = stack.enter_context(report.progress())
            campaign.run(workers, progress)
    except KeyboardInterrupt:
        print(report.table(campaign.all), "\nstopped; nothing is known of what was still running", file=sys.stderr)
        _tell_findings(campaign, sys.stderr)
        return STOPPED
    except LostError as error:
        print(report.table(campaign.all), f"\ngiven up: {error}", file=sys.stderr)
        _tell_findings(campaign, sys.stderr)
        return FOUND
    return _conclude(campaign, asked.json, time.monotonic() - began)


def _explorations(asked: argparse.Namespace) -> list[Exploration]:
    found: list[Exploration] = []
    for scenario in [SCENARIOS[name] for name in asked.names or SCENARIOS]:
        small = scenario.quick or not asked.quick
        if small and (asked.pct is None or asked.preemptions is not None):
            bound = scenario.preemptions if asked.preemptions is None else asked.preemptions
            found.append(scenario.exploration(min(bound, 1) if asked.quick else bound))
        sampled = asked.pct if asked.pct is not None else QUICK_SAMPLES if not small else 0
        if sampled:
            found.append(scenario.exploration(None, sampled=sampled, seed=asked.seed))
    # On a machine that is busy elsewhere, what is to be exhausted comes before more samples.
    return sorted(found, key=lambda exploration: exploration.sampled is not None) if asked.quick else found


def _workers(stack: ExitStack, asked: argparse.Namespace) -> AbstractContextManager[Workers]:
    if asked.scheduler is None:
        return processes(max(1, asked.jobs))
    # The workers have the library installed, and know nothing of this folder.
    archive = Path(stack.enter_context(TemporaryDirectory()), "schedules.zip")
    here = Path(__file__).parent
    with ZipFile(archive, "w") as packed:
        for file in here.glob("*.py"):
            packed.write(file, f"{here.name}/{file.name}")
    return cluster(asked.scheduler, archive)


def _tell_findings(campaign: Campaign, to: TextIO) -> None:
    for explored in campaign.all:
        if explored.failed:
            print(f"\n{report.failure(explored)}", file=to)


def _conclude(campaign: Campaign, file: Path | None, seconds: float) -> int:
    bad = [explored for explored in campaign.all if explored.failed]
    status = HUNG if any(explored.hang is not None for explored in bad) else FOUND if bad else GOOD
    print(f"\n{report.table(campaign.all)}\n{report.summary(campaign, seconds)}")
    _tell_findings(campaign, sys.stdout)
    if file is not None:
        file.write_text(report.as_json(campaign, seconds, status))
    print({GOOD: "\nnothing found", FOUND: "\nFOUND", HUNG: "\nHUNG"}[status])
    return status


def _replay(scenario: Scenario, schedule: str, limit_s: float) -> int:
    result = run_shard(Shard(0, scenario.exploration(None), replay=schedule, limit_s=limit_s))
    if not (result.finding or result.hang or result.died):
        print(f"{scenario.name}: {result.why}")
        return GOOD
    explored = Explored(scenario.exploration(None), finding=result.finding, hang=result.hang, died=result.died)
    print(report.failure(explored))
    return FOUND if result.hang is None else HUNG


if __name__ == "__main__":
    sys.exit(main())

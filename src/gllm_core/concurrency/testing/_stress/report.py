"""What a person is shown: progress while it runs, a table at the end, and all that is known of what failed."""

from __future__ import annotations

import platform
import sys
import time
from collections import Counter
from collections.abc import Iterable
from importlib import import_module, metadata
from typing import Any

from .bars import Soak
from .campaign import Plan, Tally
from .shard import ShardResult

HEADINGS = ("scenario", "rounds", "operations", "faults", "violations", "leaks", "hangs", "slowest", "grown")
PROGRESS_EVERY_S = 5.0


def rows(tallies: Iterable[Tally]) -> list[tuple[str, ...]]:
    """One row a scenario, and their sum."""
    tallies = list(tallies)
    total = Tally("all", "")
    for tally in tallies:
        total.rounds += tally.rounds
        total.operations += tally.operations
        total.faults.update(tally.faults)
        total.violations += tally.violations
        total.leaks += tally.leaks
        total.hangs += tally.hangs
        total.slowest_s = max(total.slowest_s, tally.slowest_s)
        total.grown = max(total.grown, tally.grown)
    return [_row(tally) for tally in [*tallies, total]]


def _row(tally: Tally) -> tuple[str, ...]:
    return (
        tally.name,
        f"{tally.rounds:,}",
        f"{tally.operations:,}",
        f"{tally.faults.total():,}",
        str(tally.violations),
        str(tally.leaks),
        str(tally.hangs),
        f"{tally.slowest_s:.1f} s",
        f"{tally.grown / 2**20:.1f} MiB",
    )


def table(tallies: Iterable[Tally]) -> str:
    """The rows, in columns."""
    lines = [HEADINGS, *rows(tallies)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))])
        for line in lines
    )


def details(tallies: Iterable[Tally]) -> str:
    """How the calls ended, and what was done to them, over all scenarios."""
    outcomes: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    for tally in tallies:
        outcomes.update(tally.outcomes)
        faults.update(tally.faults)
    told = [
        f"{title}: " + (", ".join(f"{n:,} {kind}" for kind, n in counts.most_common()) or "none")
        for title, counts in (("outcomes", outcomes), ("faults", faults))
    ]
    return "\n".join(told)


def versions() -> str:
    """On what it ran."""
    return (
        f"gllm-core-concurrency {metadata.version('gllm-core-concurrency')}, AnyIO {metadata.version('anyio')}, "
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    )


def again(result: ShardResult, limit_s: float) -> str:
    """The one command that runs a failed round again."""
    shard = result.shard
    return (
        f"{sys.executable} -m gllm_core.concurrency.testing --seed {shard.seed} --scenario {shard.scenario} "
        f"--round {result.bad_round} --limit {limit_s:g}"
    )


def failure(result: ShardResult, limit_s: float) -> str:
    """What failed, what had happened in that round, and how to run it again."""
    lines = [f"--- {result.shard.scenario}, round {result.bad_round} ({result.perturbation or 'not known how perturbed'})"]
    lines += [f"violation: {text}" for text in result.violations]
    lines += [f"leak: {text}" for text in result.leaks]
    if result.history:
        lines += ["what happened:", *(f"  {line}" for line in result.history)]
    if result.hang is not None:
        lines += [f"hang: no end after {limit_s:g} s", result.hang]
    return "\n".join([*lines, "to run it again, until it fails:", f"  {again(result, limit_s)}"])


class PlainProgress:
    """One line now and then."""

    def __init__(self, plan: Plan) -> None:
        self._began = time.monotonic()
        self._next = self._began + PROGRESS_EVERY_S
        self._plan = plan

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, *_exc_info: object) -> None:
        pass

    def __call__(self, tallies: list[Tally]) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + PROGRESS_EVERY_S
        total = rows(tallies)[-1]
        said = ", ".join(f"{cell} {heading}" for heading, cell in zip(HEADINGS[1:7], total[1:7], strict=True))
        print(f"{time.monotonic() - self._began:5.0f} s of {self._plan.length}: {said}", flush=True)


class SoakProgress:
    """How much of everything there has been: one line now and then."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._next = self._began + PROGRESS_EVERY_S

    def __call__(self, soak: Soak) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + PROGRESS_EVERY_S
            print(f"{time.monotonic() - self._began:5.0f} s: {soak.so_far()}", flush=True)


class RichProgress:
    """The table, live."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._began = time.monotonic()
        self._table: Any = import_module("rich.table").Table
        self._live: Any = import_module("rich.live").Live(refresh_per_second=4, transient=True)

    def __enter__(self) -> RichProgress:
        self._live.__enter__()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._live.__exit__(*exc_info)

    def __call__(self, tallies: list[Tally]) -> None:
        shown = self._table(title=f"{time.monotonic() - self._began:.0f} s of {self._plan.length}", title_justify="left")
        for column, heading in enumerate(HEADINGS):
            shown.add_column(heading, justify="left" if column == 0 else "right")
        for tally, row in zip([*tallies, None], rows(tallies), strict=True):
            shown.add_row(*row, style="bold red" if tally is not None and tally.bad else None)
        self._live.update(shown)


def progress(plan: Plan) -> PlainProgress | RichProgress:
    """The live table where there is a terminal, and rich; lines elsewhere."""
    if sys.stdout.isatty():
        try:
            return RichProgress(plan)
        except ImportError:
            pass
    return PlainProgress(plan)

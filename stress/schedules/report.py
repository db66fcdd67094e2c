"""What a person is shown of an exploration: progress while it runs, a table at the end, all that is known of what failed."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Sequence
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from gllm_core.concurrency.testing.explore._campaign import Campaign, Explored

HEADINGS = ("scenario", "verdict", "schedules", "seconds", "bound")
PROGRESS_EVERY_S = 5.0


def row(explored: Explored) -> tuple[str, ...]:
    return (
        explored.exploration.name,
        explored.verdict,
        f"{explored.schedules:,}",
        f"{explored.seconds:.1f}",
        explored.bound,
    )


def table(every: Sequence[Explored]) -> str:
    """One row a scenario, and their sum."""
    schedules, seconds = sum(explored.schedules for explored in every), sum(explored.seconds for explored in every)
    lines = [HEADINGS, *map(row, every), ("all", "", f"{schedules:,}", f"{seconds:.1f}", "")]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    right = (2, 3)
    return "\n".join(
        "  ".join(
            cell.rjust(w) if at in right else cell.ljust(w) for at, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def summary(campaign: Campaign, seconds: float) -> str:
    shards = sum(explored.shards for explored in campaign.all)
    points = sum(explored.steps for explored in campaign.all)
    lost = f"; {campaign.lost} were lost with their worker and run again" if campaign.lost else ""
    return f"{seconds:.1f} s, {points:,} scheduling points, {shards} shards on {len(campaign.workers)} workers{lost}"


def versions() -> str:
    """On what it ran."""
    return (
        f"gllm-core-concurrency {metadata.version('gllm-core-concurrency')}, AnyIO {metadata.version('anyio')}, "
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    )


def again(explored: Explored) -> str | None:
    """The one command that replays a finding, from any folder."""
    if explored.finding is None:
        return None
    command = [
        os.path.normpath(sys.executable),
        "-m",
        "schedules",
        explored.exploration.name,
        "--replay",
        explored.finding.schedule,
    ]
    return f"(cd {shlex.quote(str(Path(__file__).parents[1]))} && {shlex.join(command)})"


def failure(explored: Explored) -> str:
    lines = [f"--- {explored.exploration.name}"]
    finding = explored.finding
    if finding is not None:
        lines += [f"{finding.kind.value}: {finding.message}"]
        lines += ["the schedule:", *(f"  {step}" for step in finding.steps)] if finding.steps else []
        lines += ["to replay it:", f"  {again(explored)}"]
    if explored.hang is not None:
        lines += [f"hang: {explored.hang}"]
    if explored.died is not None:
        lines += [explored.died]
    return "\n".join(lines)


def _as_dict(explored: Explored) -> dict[str, Any]:
    finding = explored.finding
    return {
        "scenario": explored.exploration.name,
        "verdict": explored.verdict,
        "bound": explored.bound,
        "seed": explored.exploration.seed,
        "schedules": explored.schedules,
        "points": explored.steps,
        "seconds": round(explored.seconds, 3),
        "shards": explored.shards,
        "finding": finding and {"kind": finding.kind.value, "message": finding.message, "schedule": finding.schedule},
        "again": again(explored),
        "hang": explored.hang,
        "died": explored.died,
    }


def as_json(campaign: Campaign, seconds: float, status: int) -> str:
    told = {
        "versions": versions(),
        "status": status,
        "seconds": round(seconds, 3),
        "lost": campaign.lost,
        "workers": campaign.workers,
        "explorations": [_as_dict(explored) for explored in campaign.all],
    }
    return json.dumps(told, indent=1) + "\n"


class PlainProgress:
    """One line now and then, and one for each scenario that is done."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._next = self._began + PROGRESS_EVERY_S
        self._done: set[int] = set()

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, *_exc_info: object) -> None:
        pass

    def __call__(self, every: Sequence[Explored]) -> None:
        now = time.monotonic() - self._began
        for key, explored in enumerate(every):
            if key not in self._done and not explored.running and (explored.failed or not explored.waits):
                self._done.add(key)
                name, verdict, schedules, seconds, bound = row(explored)
                print(f"{now:5.0f} s: {name}: {verdict} {bound}, {schedules} schedules in {seconds} s", flush=True)
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + PROGRESS_EVERY_S
        schedules = sum(explored.schedules for explored in every)
        print(f"{now:5.0f} s: {len(self._done)} of {len(every)} done, {schedules:,} schedules", flush=True)


class RichProgress:
    """The table, live."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._table: Any = import_module("rich.table").Table
        self._live: Any = import_module("rich.live").Live(refresh_per_second=4, transient=True)

    def __enter__(self) -> RichProgress:
        self._live.__enter__()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._live.__exit__(*exc_info)

    def __call__(self, every: Sequence[Explored]) -> None:
        shown = self._table(title=f"{time.monotonic() - self._began:.0f} s", title_justify="left")
        for heading in HEADINGS:
            shown.add_column(heading, justify="right" if heading in ("schedules", "seconds") else "left")
        for explored in every:
            style = "bold red" if explored.failed else "bold" if explored.running else None if explored.given else "dim"
            name, verdict, *rest = row(explored)
            shown.add_row(name, "" if explored.running or explored.waits else verdict, *rest, style=style)
        self._live.update(shown)


def progress() -> PlainProgress | RichProgress:
    """The live table where there is a terminal, and rich; lines elsewhere."""
    if sys.stdout.isatty():
        try:
            return RichProgress()
        except ImportError:
            pass
    return PlainProgress()

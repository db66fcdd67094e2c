"""The table, as Markdown and as JSON."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from .libraries import library, version
from .model import Cell, Scenario
from .scenarios import SCENARIOS

BEGIN, END = "<!-- what follows is written by `make compare` -->", "<!-- what `make compare` writes ends here -->"
MARKS = {"holds": "holds", "fails": "**fails**", "not offered": "-", "error": "error"}

Table = dict[tuple[str, str], Cell]


def table_of(cells: Iterable[Cell]) -> Table:
    return {(cell.scenario, cell.library): cell for cell in cells}


def taken() -> dict[str, str]:
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.machine()}",
    }


def versions(libraries: Sequence[str]) -> dict[str, str | None]:
    return {name: version(library(name)) for name in libraries}


def write_json(file: Path, libraries: Sequence[str], cells: Sequence[Cell]) -> None:
    figures = {
        **taken(),
        "versions": versions(libraries),
        "guarantees": [{"name": s.name, "promise": s.promise, "says": s.says, "group": s.group} for s in SCENARIOS.values()],
        "cells": [{name: value for name, value in asdict(cell).items() if name != "stderr"} for cell in cells],
    }
    file.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n")


def write_markdown(file: Path, libraries: Sequence[str], cells: Sequence[Cell], beside: Path | None) -> None:
    """Put the table between the two marks of the page; the rest of it stays."""
    page = file.read_text()
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise SystemExit(f"{file} must have the lines {BEGIN!r} and {END!r} once each")
    before, after = page[: page.index(BEGIN)], page[page.index(END) :]
    other = json.loads(beside.read_text()) if beside is not None and beside.exists() else None
    file.write_text(f"{before}{BEGIN}\n\n{markdown(libraries, cells, other)}\n{after}")


def markdown(libraries: Sequence[str], cells: Sequence[Cell], other: dict[str, Any] | None) -> str:
    found = table_of(cells)
    when = taken()
    parts = [f"Taken on {when['date']} with {when['python']} on {when['system']}.\n", *_used(libraries)]
    for group, members in groupby(_shown(cells), key=lambda scenario: scenario.group):
        scenarios = list(members)
        parts += [f"\n## {group}\n", *_table(libraries, scenarios, found), "", *_seen(libraries, scenarios, found)]
    parts += ["\n## In sum\n", *_sums(libraries, cells)]
    if other is not None:
        parts += [f"\n## With {other['python']}\n", *_differences(found, other["cells"])]
    return "\n".join(parts) + "\n"


def _differences(found: Table, others: Sequence[dict[str, str]]) -> Iterable[str]:
    differ = [other for other in others if found[other["scenario"], other["library"]].outcome != other["outcome"]]
    if not differ:
        yield "Every cell has the same outcome."
        return
    yield "Every cell has the same outcome, except these:\n"
    for other in differ:
        seen = f": {_plain(other['seen'])}" if other["seen"] else ""
        yield f"- `{other['scenario']}`, {other['library']}: {other['outcome']}{seen}"


def _shown(cells: Sequence[Cell]) -> list[Scenario]:
    names = {cell.scenario for cell in cells}
    order = list(dict.fromkeys(s.group for s in SCENARIOS.values()))
    return sorted((s for s in SCENARIOS.values() if s.name in names), key=lambda s: order.index(s.group))


def _used(libraries: Sequence[str]) -> Iterable[str]:
    yield "| library | version | used here as |"
    yield "|---|---|---|"
    for name in libraries:
        one = library(name)
        yield f"| {name} | {version(one) or 'standard library'} | {one.used} |"


def _table(libraries: Sequence[str], scenarios: Sequence[Scenario], found: Table) -> Iterable[str]:
    yield "| guarantee | promise | " + " | ".join(libraries) + " |"
    yield "|---|---|" + "---|" * len(libraries)
    for scenario in scenarios:
        marks = [MARKS[found[scenario.name, name].outcome] for name in libraries]
        yield f"| `{scenario.name}`: {scenario.says} | {scenario.promise} | " + " | ".join(marks) + " |"


def _seen(libraries: Sequence[str], scenarios: Sequence[Scenario], found: Table) -> Iterable[str]:
    yield "What was seen:\n"
    for scenario in scenarios:
        told: dict[str, list[str]] = {}
        for name in libraries:
            cell = found[scenario.name, name]
            if cell.seen:
                told.setdefault(f"{cell.outcome}: {_plain(cell.seen)}", []).append(name)
        if told:
            yield f"- `{scenario.name}`"
            yield from (f"    - {', '.join(names)}: {text}" for text, names in told.items())


def _plain(text: str) -> str:
    """Without what differs from run to run and would be read as Markdown."""
    return re.sub(r"([*_<>|`\\])", r"\\\1", re.sub(r" at 0x[0-9a-f]+", "", text))


def _sums(libraries: Sequence[str], cells: Sequence[Cell]) -> Iterable[str]:
    yield "| library | holds | fails | not offered |"
    yield "|---|---|---|---|"
    for name in libraries:
        outcomes = [cell.outcome for cell in cells if cell.library == name]
        yield f"| {name} | {outcomes.count('holds')} | {outcomes.count('fails')} | {outcomes.count('not offered')} |"


def line(cell: Cell) -> str:
    return f"{cell.scenario:<26} {cell.library:<14} {cell.outcome:<12} {cell.seen}"

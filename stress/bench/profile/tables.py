"""The ladders as they are read: plain lines in a terminal, tables on the page about performance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..model import Result, Spread
from ..record import results_of
from .ladder import Ladder, Row, noise, rows
from .ladders import LADDERS

ADDS = ("adds", "middle half")
INTRODUCTION = """
For each bar that is not met, or only just, a ladder. Each step does what the one above it in the table does, and one thing
more; so what it adds is what that thing costs. The last step is the whole call. The steps take turns, pinned to one core, by
CPU time, and what one adds is taken round by round. The bar is where the whole call should be, in the same rounds; what
follows it was measured with the ladder, beside it. `make profile` measures all of it again.
""".strip()


def show(ladder: Ladder, result: Result) -> None:
    print(f"\n{ladder.name}: {result.says} [pinned to one core; medians of {_rounds(result)} rounds]")
    head = _head(ladder, result)
    print(f"  {'':<64}" + "".join(f"{column:>24}" for column in head))
    for row in rows(ladder, result):
        cells = "".join(f"{cell:>24}" for cell in _cells(row, ladder, result))
        print(f"  {_label(row):<64}{cells}".rstrip(), flush=True)
    print(f"  noise: measured again, the whole takes {_more(noise(result), result)}")


def section(profile: dict[str, Any]) -> Iterator[str]:
    """The lines of the page."""
    found = {result.workload: result for result in results_of(profile)}
    yield "## Where the time goes, step by step"
    yield ""
    yield INTRODUCTION
    yield ""
    yield f"- Python {profile['python']}: {profile['taken']}, {profile['system']}, load {profile['load']}."
    yield ""
    for name, ladder in LADDERS.items():
        if name in found:
            yield from _table(ladder, found[name])


def _table(ladder: Ladder, result: Result) -> Iterator[str]:
    yield f"**{ladder.goal.name}**: {ladder.name}, {result.says}"
    yield ""
    head = _head(ladder, result)
    yield "| " + " | ".join(["", *head]) + " |"
    yield "|---|" + "---:|" * len(head)
    marks = {"step": "", "whole": "**", "bar": "*", "beside": "*"}
    for row in rows(ladder, result):
        mark = marks[row.kind]
        yield "| " + " | ".join([f"{mark}{_label(row)}{mark}", *_cells(row, ladder, result)]) + " |"
    yield ""
    yield f"Noise: measured again at the end of each round, the whole takes {_more(noise(result), result)}."
    yield ""
    yield ladder.limit.strip()
    yield ""


def _head(ladder: Ladder, result: Result) -> tuple[str, ...]:
    if ladder.widths is None:
        return (_unit(result), *ADDS)
    few, many = ladder.widths
    return (f"{few:,} in flight, us", f"{many:,} in flight, us", "grows by", *ADDS)


def _label(row: Row) -> str:
    return f"{row.kind}: {row.name}" if row.kind in ("bar", "beside") else row.name


def _cells(row: Row, ladder: Ladder, result: Result) -> list[str]:
    columns = 1 if ladder.widths is None else 3
    shown = [""] * (columns - len(row.shown)) + [_figure(cost, result) for cost in row.shown]
    if row.adds is None:
        return [*shown, "", ""]
    return [*shown, _figure(row.adds.median, result), f"{_figure(row.adds.low, result)} .. {_figure(row.adds.high, result)}"]


def _more(off: Spread, result: Result) -> str:
    return f"{_figure(abs(off.median), result)} {_unit(result)} {'less' if off.median < 0 else 'more'}"


def _figure(cost: float, result: Result) -> str:
    return f"{cost:,.0f}" if result.unit == "bytes" else f"{cost * 1e6:,.1f}"


def _unit(result: Result) -> str:
    return "bytes" if result.unit == "bytes" else "us"


def _rounds(result: Result) -> int:
    return len(next(iter(result.per_call.values())))

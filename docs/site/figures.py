"""Tables of what commands have found, from the JSON that they wrote and `keep.py` has kept in docs/verification."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "verification"


def path_of(name: str) -> Path:
    """Where the figures of that name are kept."""
    return FOLDER / f"{name}.json"


def _table(headings: Iterable[str], rows: Iterable[Iterable[object]], numeric: int) -> str:
    """Columns from *numeric* on are numbers."""

    def cells(row: Iterable[object], tag: str) -> str:
        texts = (f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row)
        return "".join(
            f"<{tag}{' class=number' if at >= numeric else ''}>{escape(text)}</{tag}>" for at, text in enumerate(texts)
        )

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    head = f"<thead><tr>{cells(headings, 'th')}</tr></thead>"
    return f'<div class="figures"><table class="docutils">{head}<tbody>{body}</tbody></table></div>'


def _taken(kept: dict[str, Any], said: str) -> str:
    return f"<p>{escape(kept['date'])}, on {escape(kept['versions'])}, {escape(kept['machine'])}: {escape(said)}</p>"


def _explored(kept: dict[str, Any]) -> str:
    found = kept["explorations"]
    rows = [(each["scenario"], each["bound"], each["verdict"], each["schedules"], each["points"]) for each in found]
    total = sum(each["schedules"] for each in found)
    failed = sum(each["finding"] is not None or each["hang"] is not None or each["died"] is not None for each in found)
    exhausted = sum(each["verdict"] == "EXHAUSTED" for each in found)
    bounded = f"{exhausted} were exhausted within their bound, " if exhausted else ""
    said = (
        f"{total:,} schedules of {len(found)} explorations in {kept['seconds']:.0f} s, seed {found[0]['seed']}. "
        f"{bounded}{failed} failed."
    )
    return _taken(kept, said) + _table(("scenario", "bound", "verdict", "schedules", "scheduling points"), rows, 3)


def _stressed(kept: dict[str, Any]) -> str:
    counts = ("rounds", "operations", "faults", "violations", "leaks", "hangs")
    rows = [
        (each["name"], *(sum(each[count].values()) if count == "faults" else each[count] for count in counts))
        for each in kept["scenarios"]
    ]
    totals = ("all", *(sum(int(row[at]) for row in rows) for at in range(1, len(counts) + 1)))
    plan = kept["plan"]
    said = f"{plan['seconds']:g} s, {plan['jobs']} processes at a time, seed {plan['seed']}."
    return _taken(kept, said) + _table(("scenario", *counts), [*rows, totals], 1)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


def _soaked(kept: dict[str, Any]) -> str:
    rows = [
        (
            bar["name"],
            f"{_number(bar['value'])}{bar['unit']}",
            f"{'at most' if bar['at_most'] else 'at least'} {_number(bar['bar'])}{bar['unit']}",
            "yes" if bar["ok"] else "no",
        )
        for bar in kept["bars"]
    ]
    return _taken(kept, f"seed {kept['seed']}.") + _table(("what", "measured", "asked for", "reached"), rows, 1)


_KINDS: dict[str, Callable[[dict[str, Any]], str]] = {"explorations": _explored, "bars": _soaked, "scenarios": _stressed}
"""By what only they have; a soak has scenarios, too, and comes before them."""


def table(kept: dict[str, Any]) -> str:
    """The table of *kept*, as HTML, with when and on what it was taken."""
    for key, kind in _KINDS.items():
        if key in kept:
            return kind(kept)
    raise ValueError(f"figures of no known kind: they have {', '.join(kept)}")

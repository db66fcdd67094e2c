"""The table of guarantees, library by library, in short: from the JSON that `make compare` writes."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent.parent / "comparison.json"
OFFERED = ("holds", "fails")
NAMES = {"ours": "this library"}


def _cell(outcomes: list[str]) -> str:
    """How many of the guarantees hold, of those that the library has something for."""
    offered = [outcome for outcome in outcomes if outcome in OFFERED]
    if not offered:
        return "<td>-</td>"
    holds = offered.count("holds")
    return f"<td{' class=whole' if holds == len(offered) else ''}>{holds}/{len(offered)}</td>"


def table(found: dict[str, Any]) -> str:
    """One row for each group of guarantees, one column for each library, with when and on what it was taken."""
    groups: dict[str, list[str]] = {}
    for guarantee in found["guarantees"]:
        groups.setdefault(guarantee["group"], []).append(guarantee["name"])
    outcomes = {(cell["scenario"], cell["library"]): cell["outcome"] for cell in found["cells"]}
    libraries = list(found["versions"])
    head = "".join(f"<th>{escape(NAMES.get(name, name))}</th>" for name in libraries)
    rows = "".join(
        f"<tr><th>{escape(group)}</th>{cells}</tr>"
        for group, names in groups.items()
        for cells in ["".join(_cell([outcomes[name, library] for name in names]) for library in libraries)]
    )
    taken = f"Taken on {found['date']} with {found['python']} on {found['system']}."
    return (
        f'<div class="figures comparison"><table class="docutils"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div><p>{escape(taken)}</p>"
    )

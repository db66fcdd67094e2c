"""The comparison's page: what the runner saw, between two marks, and nothing else of the page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from peers import report
from peers.model import Cell, Outcome
from peers.scenarios import SCENARIOS

LIBRARIES = ["ours", "fakes.silent"]
PAGE = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"


def cells(of_other: Outcome = "fails", seen: str = "it *hung* at 0x7f00") -> list[Cell]:
    """One row with each group's first scenario: ours holds, the other does what is said."""
    names = list({scenario.group: scenario.name for scenario in reversed(SCENARIOS.values())}.values())
    holding = [Cell(name, "ours", "holds", "") for name in names]
    return holding + [Cell(name, "fakes.silent", of_other, seen) for name in names]


def written(folder: Path, found: list[Cell], beside: list[Cell] | None = None) -> str:
    """The page, after the table was written into it."""
    page, other = folder / "page.md", folder / "other.json"
    page.write_text(PAGE)
    if beside is not None:
        report.write_json(other, LIBRARIES, beside)
        other.write_text(json.dumps({**json.loads(other.read_text()), "python": "CPython 9.9"}))
    report.write_markdown(page, LIBRARIES, found, other)
    return page.read_text()


def test_the_table_takes_the_place_between_the_marks(tmp_path: Path) -> None:
    """The rest of the page stays, each cell has its mark, and below stands what was seen, without addresses of memory."""
    page = written(tmp_path, cells())
    assert page.startswith(f"before\n{report.BEGIN}\n")
    assert page.endswith(f"{report.END}\nafter\n")
    assert "\nold\n" not in page
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) == len(cells()) // 2
    assert all(row.endswith("| holds | **fails** |") for row in rows)
    assert page.count(r"    - fakes.silent: fails: it \*hung\*") == len(rows)
    assert "0x7f00" not in page
    assert f"| fakes.silent | 0 | {len(rows)} | 0 |" in page


def test_a_page_without_marks_is_refused(tmp_path: Path) -> None:
    """Nothing is written where the place for it is not clear."""
    page = tmp_path / "page.md"
    page.write_text("no marks\n")
    with pytest.raises(SystemExit, match="once each"):
        report.write_markdown(page, LIBRARIES, cells(), None)
    assert page.read_text() == "no marks\n"


def test_what_differs_on_another_python_is_named(tmp_path: Path) -> None:
    """Cells with another outcome there are listed one by one; where there is none, the page says so."""
    page = written(tmp_path, cells(), cells("holds", ""))
    assert "## With CPython 9.9" in page
    assert page.count(", fakes.silent: holds\n") == len(cells()) // 2
    assert "Every cell has the same outcome.\n" in written(tmp_path, cells(), cells("fails", "in other words"))

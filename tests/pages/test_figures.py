"""The figures on the page about verification: they are what the commands wrote, and nothing else is shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import figures
import keep

EXPLORED: dict[str, Any] = {
    "status": 0,
    "versions": "X 1",
    "seconds": 12.4,
    "explorations": [
        {"scenario": "one", "bound": "<=2", "verdict": "EXHAUSTED", "seed": 7, "schedules": 1234, "points": 99}
        | {"finding": None, "hang": None, "died": None, "again": None},
        {"scenario": "two", "bound": "<=1", "verdict": "FAILED", "seed": 7, "schedules": 6, "points": 1}
        | {"finding": {"kind": "deadlock"}, "hang": None, "died": None, "again": "cd somewhere"},
    ],
}
STRESSED: dict[str, Any] = {
    "status": 0,
    "versions": "X 1",
    "plan": {"seconds": 30.0, "jobs": 2, "seed": 5},
    "scenarios": [
        {"name": "a", "rounds": 2, "operations": 30, "faults": {"x": 1, "y": 2}, "violations": 0, "leaks": 0, "hangs": 0},
        {"name": "b", "rounds": 3, "operations": 4, "faults": {}, "violations": 1, "leaks": 0, "hangs": 0},
    ],
    "again": ["cd somewhere"],
}

SOAKED: dict[str, Any] = {
    "versions": "X 1",
    "seed": 3,
    "status": 0,
    "bars": [
        {"name": "calls", "value": 1000000, "bar": 1000000, "at_most": False, "unit": "", "ok": True},
        {"name": "memory", "value": 5.5, "bar": 5, "at_most": True, "unit": " MiB", "ok": False},
    ],
    "scenarios": [],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(figures, "FOLDER", tmp_path / "kept")
    return tmp_path


def kept(folder: Path, found: dict[str, Any]) -> dict[str, Any]:
    (folder / "found.json").write_text(json.dumps(found))
    text = keep.keep("name", folder / "found.json").read_text()
    assert "somewhere" not in text
    read: dict[str, Any] = json.loads(text)
    return read


def test_schedules_are_added_up(folder: Path) -> None:
    """The table has each exploration, and the sentence above it the sum, the seed, and how many failed."""
    html = figures.table(kept(folder, EXPLORED))
    assert "1,240 schedules of 2 explorations in 12 s, seed 7. 1 were exhausted within their bound, 1 failed." in html
    assert html.count("<tr>") == 3
    assert "&lt;=2" in html


def test_stress_is_added_up(folder: Path) -> None:
    """The table ends with the sums of its columns, the violations among them."""
    html = figures.table(kept(folder, STRESSED))
    cells = [cell.partition(">")[2].removesuffix("</td>") for cell in html.rpartition("<tr>")[2].split("<td")[1:]]
    assert [cell.partition("<")[0] for cell in cells] == ["all", "5", "34", "3", "1", "0", "0"]
    assert "30 s, 2 processes at a time, seed 5." in html


def test_a_soak_shows_each_bar(folder: Path) -> None:
    """What was measured, what was asked for, and whether it was reached."""
    rows = figures.table(kept(folder, SOAKED)).split("<tr>")[2:]
    texts = [[cell.partition(">")[2].partition("<")[0] for cell in row.split("<td")[1:]] for row in rows]
    assert texts == [["calls", "1,000,000", "at least 1,000,000", "yes"], ["memory", "5.5 MiB", "at most 5 MiB", "no"]]


@pytest.mark.parametrize("found", [{**STRESSED, "status": 1}, {key: STRESSED[key] for key in STRESSED if key != "status"}])
def test_a_run_that_found_something_is_not_kept(folder: Path, found: dict[str, Any]) -> None:
    """Figures of a run that ended with another status than 0, or that does not say with which, are refused."""
    with pytest.raises(ValueError, match="found something"):
        kept(folder, found)
    assert not figures.path_of("name").exists()


def test_what_cannot_be_shown_is_not_kept(folder: Path) -> None:
    """JSON of another kind is refused, and what was kept before stays."""
    before = kept(folder, STRESSED)
    (folder / "found.json").write_text('{"else": 1, "status": 0}')
    with pytest.raises(ValueError, match="no known kind"):
        keep.keep("name", folder / "found.json")
    assert json.loads(figures.path_of("name").read_text()) == before

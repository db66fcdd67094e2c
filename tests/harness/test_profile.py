"""The profile: each ladder runs from its lowest step to the whole call, and the tables have every step, with what it adds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bench import page, peers, record
from bench.model import AGAIN, Result
from bench.profile import tables
from bench.profile.ladder import Ladder, rows
from bench.profile.ladders import LADDERS, NEEDS

STRESS = Path(__file__).parents[2] / "stress"


def measured(ladder: Ladder) -> Result:
    """Each candidate once, with few calls."""
    workload = ladder.workload
    with workload.open() as candidates:
        calls = 1 if ladder.name == "import" else 200
        per_call = {candidate.name: [candidate.measure(calls) / calls] for candidate in candidates}
        roles = {candidate.name: candidate.role for candidate in candidates}
    reference = next(iter(per_call)) + AGAIN
    per_call[reference], roles[reference] = per_call[reference.removesuffix(AGAIN)], "ours"
    return Result(workload.name, workload.says, "pinned", workload.unit, workload.growth, per_call, roles)


def section(results: list[Result]) -> list[str]:
    return list(tables.section({"python": "9.9", **record.header(), "results": record.figures(results)}))


@pytest.mark.parametrize("name", LADDERS)
def test_a_ladder_is_climbed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every step has a cost and what it adds; together the steps are the whole call; bar and limit are said."""
    if peers.versions()[NEEDS.get(name, "anyio")] is None:
        pytest.skip(f"{NEEDS[name]} is not installed")
    ladder = LADDERS[name]
    result = measured(ladder)
    found = rows(ladder, result)
    steps = [row for row in found if row.kind in ("step", "whole")]
    assert steps[-1].kind == "whole"
    assert len(steps) >= 3
    assert sum(row.adds.median for row in steps if row.adds is not None) == pytest.approx(steps[-1].shown[-1])
    assert [row.kind for row in found].count("bar") == 1
    tables.show(ladder, result)
    printed = capsys.readouterr().out
    written = section([result])
    for row in found:
        assert row.name in printed
        assert sum(row.name in line for line in written if line.startswith("| ")) >= 1
    columns = {line.count("|") for line in written if line.startswith("|")}
    assert len(columns) == 1
    assert ladder.limit.strip() in written


def test_each_ladder_has_its_bar() -> None:
    """The bars that ladders are about are bars that the recorded figures have."""
    runs: dict[str, Any] = json.loads((page.DOCS / "performance.json").read_text())
    judged = [bar for run in runs.values() for bar in run["bars"]]
    goals = [ladder.goal.name for ladder in LADDERS.values()]
    assert all(any(bar["name"].startswith(goal) for bar in judged) for goal in goals)


def test_the_page_has_the_recorded_ladders() -> None:
    """What `make bench-page` writes is what is there: every ladder, from the figures that are kept."""
    profile: dict[str, Any] = json.loads((page.DOCS / "profile.json").read_text())
    runs: dict[str, Any] = json.loads((page.DOCS / "performance.json").read_text())
    assert {found["workload"] for found in profile["results"]} == set(LADDERS)
    _, mark, below = (page.DOCS / "performance.md").read_text().partition(page.MARK)
    assert mark
    assert below.strip() == page.written(runs, profile).strip()
    assert all(f"**{ladder.goal.name}**" in below for ladder in LADDERS.values())


def test_the_command(tmp_path: Path) -> None:
    """It prints a ladder, and keeps its figures beside those of other ladders."""
    file = tmp_path / "profile.json"
    for name in ("syncify", "asyncify"):
        asked = ["--ladder", name, "--seconds", "0.1", "--rounds", "2", "--json", str(file)]
        ran = subprocess.run(
            [sys.executable, "-m", "bench.profile", *asked], cwd=STRESS, capture_output=True, text=True, check=True, timeout=120
        )
        assert ran.stdout.startswith(f"\n{name}: ")
        assert "the whole call" in ran.stdout
    kept = json.loads(file.read_text())
    assert [found["workload"] for found in kept["results"]] == ["syncify", "asyncify"]
    assert kept["system"]

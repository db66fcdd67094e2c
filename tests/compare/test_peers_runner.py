"""The comparison's runner: it tells what holds from what fails, hangs, dies or is not there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIMIT_S = 200.0
"""How long a cell may take, in seconds: more than its own limit."""

CELLS: dict[str, tuple[str, str, str, int, str]] = {
    "holds": ("cancel-native", "ours", "holds", 0, ""),
    "holds until the exit": ("exit-runs-finally", "ours", "holds", 0, ""),
    "not offered": ("cancel-native", "fakes.hanging", "not offered", 0, "it does not run functions on threads"),
    "seen to fail": (
        "cancel-native",
        "fakes.losing",
        "fails",
        1,
        "the cancellation was lost: the awaiter went on with 'through'",
    ),
    "hangs": ("reentrant-ends", "fakes.hanging", "fails", 1, "deadlock"),
    "does not exit": ("exit-in-flight", "fakes.hanging", "fails", 1, "did not exit within 8 s"),
    "hangs beyond every wait": ("context-to-loop", "fakes.hanging", "fails", 1, "hung: no end within 8 s"),
    "says something at exit": ("exit-late-call", "fakes.losing", "fails", 1, "on stderr at exit: it hurts"),
    "exits with another status": ("exit-late-call", "fakes.dying", "fails", 1, "the exit status was 7: (nothing on stderr)"),
    "never comes to it": ("exit-runs-finally", "fakes.silent", "fails", 1, "never seen: finally"),
    "dies": ("cancel-native", "fakes.dying", "fails", 1, "the process died with status 7: (nothing on stderr)"),
    "was not foreseen": ("cancel-native", "fakes.wrong", "error", 2, "ZeroDivisionError: not foreseen"),
}


@pytest.mark.parametrize(("scenario", "library", "outcome", "status", "seen"), CELLS.values(), ids=CELLS)
def test_a_cell_says_what_was_seen(scenario: str, library: str, outcome: str, status: int, seen: str) -> None:
    """Each way in which a library can hold or break a guarantee is told from the others, and by the exit status, too."""
    ended = _peers(scenario, library, *(("--limit", "8") if "within 8 s" in seen else ()))
    line = ended.stdout.splitlines()[-1].split(maxsplit=2)
    assert line[:2] == [scenario, library]
    assert " ".join(line[2].split()) == f"{outcome} {seen}".strip()
    assert ended.returncode == status


def test_the_list_names_every_guarantee_and_library() -> None:
    """A newcomer finds the names of all cells in one place, each guarantee with its promise."""
    lines = _peers("--list").stdout.splitlines()
    assert lines[-1].startswith("libraries: ours, anyio, asyncio")
    assert all(line.split()[1][0] in "AISP" and line.split()[1][1:].isdigit() for line in lines[:-1])
    assert len(lines) > 30


def _peers(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "peers", *arguments],
        cwd=ROOT / "stress",
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )

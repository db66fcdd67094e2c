"""Plays one scenario with one library in a process of its own, under a hard limit, and says what was seen."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from .child import STACKS
from .model import Cell, Outcome, Scenario
from .scenarios import race

LIMIT_S = 30.0
"""How long a process may take unless told otherwise, in seconds; a race has its own time besides. Waits inside end before."""

STACKS_S = 2.0
"""How long a hung process gets to write its stacks, in seconds."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How the process ended, and what it had said by then."""

    hung: bool
    status: int
    facts: tuple[str, ...]
    outcome: Outcome | None
    seen: str
    stderr: str


def play(scenario: Scenario, library: str, limit_s: float = LIMIT_S) -> Cell:
    if scenario.is_race:
        limit_s += race.seconds()
    ended = _run(scenario, library, limit_s)
    outcome, seen = judge(scenario, ended, limit_s)
    return Cell(scenario.name, library, outcome, seen, ended.stderr)


def judge(scenario: Scenario, ended: Ended, limit_s: float) -> tuple[Outcome, str]:
    if ended.outcome not in (None, "holds"):
        return ended.outcome, ended.seen
    if ended.hung:
        return "fails", f"did not exit within {limit_s:g} s" if scenario.until_exit else f"hung: no end within {limit_s:g} s"
    if ended.outcome is None:
        return "fails", f"the process died with status {ended.status}: {_last_line(ended.stderr)}"
    if not scenario.until_exit:
        return "holds", ended.seen
    if ended.status != 0:
        return "fails", f"the exit status was {ended.status}: {_last_line(ended.stderr)}"
    if ended.stderr:
        return "fails", f"on stderr at exit: {_last_line(ended.stderr)}"
    missing = [fact for fact in scenario.facts if fact not in ended.facts]
    if missing:
        return "fails", f"never seen: {', '.join(missing)}"
    return "holds", ""


def _run(scenario: Scenario, library: str, limit_s: float) -> Ended:
    hung = False
    with subprocess.Popen(
        [sys.executable, "-m", "peers.child", scenario.name, library],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
        start_new_session=True,
        env=_environment(),
    ) as process:
        try:
            stdout, stderr = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            hung = True
            stdout, stderr = _end(process)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    said = [cast("tuple[str, str]", tuple(json.loads(line))) for line in stdout.splitlines() if line.startswith("[")]
    outcome = next((cast(Outcome, text) for kind, text in reversed(said) if kind == "outcome"), None)
    seen = "; ".join(text for kind, text in said if kind == "seen")
    facts = tuple(text for kind, text in said if kind == "fact")
    return Ended(hung, process.returncode, facts, outcome, seen, stderr)


def _environment() -> dict[str, str]:
    """What the machine is set to, less what would change how Python behaves."""
    return {
        name: value for name, value in os.environ.items() if name == "PYTHONPATH" or not name.startswith(("PYTHON", "GLLM_"))
    }


def _end(process: subprocess.Popen[str]) -> tuple[str, str]:
    with suppress(ProcessLookupError):
        process.send_signal(STACKS)
    with suppress(subprocess.TimeoutExpired):
        return process.communicate(timeout=STACKS_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.communicate()


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "(nothing on stderr)"

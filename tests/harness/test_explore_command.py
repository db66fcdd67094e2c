"""`python -m schedules`: a table and a verdict for a person, JSON for a machine, and the command that replays a finding."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from harness.test_stress import broken_copy

STRESS = Path(__file__).parents[2] / "stress"
TESTS = Path(__file__).parents[1]
LIMIT_S = 200


PLANTED = """
import signal, sys
import schedules.__main__ as command
from harness import campaign_scenarios
from schedules.model import SCENARIOS, Scenario

for planted in (campaign_scenarios.waits_for_something_real, campaign_scenarios.sound):
    SCENARIOS[planted.__name__] = Scenario(planted)
signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
sys.exit(command.main())
"""
"""The command with two scenarios more."""


def environment(*path: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}


def run(command: list[str] | str, *path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        shell=isinstance(command, str),
        cwd=STRESS,
        env=environment(*path),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def schedules(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "schedules", *arguments]


def test_sound(tmp_path: Path) -> None:
    """Without a finding: the table, a line for each scenario as it is done, the same as JSON, status 0."""
    file = tmp_path / "report.json"
    ran = run(schedules("wake_up_that_fails", "--preemptions", "1", "--pct", "10", "--jobs", "2", "--json", str(file)))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"^ +\d+ s: wake_up_that_fails: EXHAUSTED <=1, ", ran.stdout, re.MULTILINE)
    table = [line.split() for line in ran.stdout.splitlines() if line.startswith(("scenario", "wake_up"))]
    assert table[0] == ["scenario", "verdict", "schedules", "seconds", "bound"]
    exhausted, sampled = json.loads(file.read_text())["explorations"]
    assert table[1][:3] == ["wake_up_that_fails", "EXHAUSTED", str(exhausted["schedules"])]
    assert table[2][:3] == ["wake_up_that_fails", "SAMPLED", "10"]
    assert (sampled["verdict"], sampled["schedules"], sampled["bound"]) == ("SAMPLED", 10, "PCT, calm aside")


def test_finding(tmp_path: Path) -> None:
    """On a sabotaged copy: status 1, the schedule, and a command that replays it."""
    one_for_all = "server = old.successor.setdefault(None, new)"
    folder = broken_copy(tmp_path, one_for_all, "server = old.successor[None] = new", "_portal.py")
    file = tmp_path / "report.json"
    ran = run(schedules("first_use_by_two", "--pct", "500", "--jobs", "1", "--json", str(file)), folder)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "assertion failed" in ran.stdout
    assert "the schedule:" in ran.stdout
    found = re.search(r"to replay it:\n +(.*)\n", ran.stdout)
    assert found is not None, ran.stdout
    (explored,) = json.loads(file.read_text())["explorations"]
    assert explored["verdict"] == "FAILED"
    assert explored["again"] == found[1]
    again = run(found[1], folder)
    assert again.returncode == 1, again.stdout + again.stderr
    assert explored["finding"]["message"] in again.stdout


def test_hang(tmp_path: Path) -> None:
    """A schedule that never ends: status 3, and all stacks; the other scenarios have their verdicts."""
    names = ["waits_for_something_real", "sound"]
    ran = run([sys.executable, "-c", PLANTED, *names, "--preemptions", "0", "--limit", "1", "--jobs", "1"], STRESS, TESTS)
    assert ran.returncode == 3, ran.stdout + ran.stderr
    assert re.search(r"^waits_for_something_real +HUNG ", ran.stdout, re.MULTILINE)
    assert re.search(r"^sound +EXHAUSTED ", ran.stdout, re.MULTILINE)
    assert "select.select([read], [], [])" in ran.stdout
    assert ran.stdout.endswith("HUNG\n")


def test_stopped() -> None:
    """Ctrl-C ends it with the table and with what was found by then, status 130."""
    names = ["waits_for_something_real", "call_against_stop"]  # the latter has more to do than there is time
    command = [sys.executable, "-c", PLANTED, *names, "--preemptions", "5", "--limit", "5", "--jobs", "2"]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=STRESS, env=environment(STRESS, TESTS), **pipes) as process:
        try:
            assert any("waits_for_something_real: HUNG" in line for line in process.stdout or ())
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=LIMIT_S)
        finally:
            process.kill()
    assert process.returncode == 130, told
    assert "stopped; nothing is known of what was still running" in told
    assert "select.select([read], [], [])" in told


def test_arguments() -> None:
    """What cannot be explored is refused, with what can."""
    unknown = run(schedules("no_such_thing"))
    assert unknown.returncode == 2
    assert "no scenario of the name no_such_thing; there are: first_use" in unknown.stderr
    replayed = run(schedules("--replay", "/3"))
    assert replayed.returncode == 2
    assert "--replay needs the one NAME" in replayed.stderr

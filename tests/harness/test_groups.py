"""What runs a broken copy of the library ends, and so does all that the copy has started."""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path

import pytest

from groups import run_group
from handshakes import WAIT_S

LEAVES_ONE_BEHIND = """
import subprocess, sys
child = "import sys, time; kept = open(sys.argv[1], 'w'); print('open', flush=True); time.sleep(1000)"
own = sys.argv[2] == "a group of its own"
left = subprocess.Popen([sys.executable, "-c", child, sys.argv[1]], stdout=subprocess.PIPE, start_new_session=own)
left.stdout.readline()
print("gone", flush=True)
sys.stdout.close()
import os; os._exit(3)
"""
"""Ends as a test does that is out of time; what it has started has its standard error."""


@pytest.mark.parametrize(
    "where",
    [
        "the same group",
        pytest.param(
            "a group of its own",
            marks=pytest.mark.skipif(
                not Path("/proc/self/environ").exists(), reason="nothing tells whose environment a process has"
            ),
        ),
    ],
)
def test_what_is_left_running_is_killed(tmp_path: Path, where: str) -> None:
    """The program ends at once, although another one still could write to the same place; then that one ends."""
    held = tmp_path / "held"
    os.mkfifo(held)
    reading = os.open(held, os.O_RDONLY | os.O_NONBLOCK)
    try:
        command = [sys.executable, "-c", LEAVES_ONE_BEHIND, str(held), where]
        assert run_group(command, cwd=tmp_path, env=os.environ, limit_s=WAIT_S) == (3, "gone\n")
        readable, _, _ = select.select([reading], [], [], WAIT_S)
        assert readable, "the process that was left behind still runs"
        assert os.read(reading, 1) == b""
    finally:
        os.close(reading)


def test_what_never_ends_is_killed(tmp_path: Path) -> None:
    """There is no status then, but all that it has written."""
    command = [sys.executable, "-c", "import time; print('begun', flush=True); time.sleep(1000)"]
    status, output = run_group(command, cwd=tmp_path, env=os.environ, limit_s=2)
    assert status is None
    assert output in ("begun\n", "")  # a slow machine may not have come so far

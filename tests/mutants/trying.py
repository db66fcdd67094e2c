"""One mutant at a time, in a copy of the source: who is told of it, and whether anybody notices."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from groups import run_group

HANG_S = 20
"""How long one test may take, in seconds: several times as long as any does."""
MORE_S = 60
"""How much longer than without a mutant all of them together may take, in seconds, beside twice that time."""
NOTHING_RAN = 5
PYTEST = ("-m", "pytest", "-x", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", "--timeout", f"{HANG_S}")
KILLED, SURVIVED, TIMED_OUT = "killed", "survived", "timed out"


class Verdict(NamedTuple):
    """What became of a mutant: `killed` (by which test), `survived`, or `timed out`, which is neither."""

    outcome: str
    by: str
    seconds: float


def try_source(path: Path, source: str, folder: Path, files: Sequence[str], expected_s: float) -> Verdict:
    """Put *source* in the place of *path*, which is in *folder*, and run *files* of tests there. Afterwards, all is as before.

    What is compiled already would be taken for the mutant, if both were of one size and second.
    """
    before = path.read_text()
    began = time.monotonic()
    try:
        path.write_text(source)
        for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
            compiled.unlink()
        outcome, by = run(folder, files, 2 * expected_s + MORE_S)
    finally:
        path.write_text(before)
    return Verdict(outcome, by, round(time.monotonic() - began, 1))


def run(folder: Path, files: Sequence[str], limit_s: float) -> tuple[str, str]:
    paths = {"PYTHONPATH": str(folder / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    environment = {**os.environ, **paths, "GLLM_TESTS_WAIT_S": "10"}
    command = (sys.executable, *PYTEST, "-o", "faulthandler_timeout=0", *files)
    status, output = run_group(command, cwd=folder, env=environment, limit_s=limit_s)
    return (TIMED_OUT, f"no end within {limit_s:.0f} s") if status is None else outcome_of(status, output)


def outcome_of(status: int, output: str) -> tuple[str, str]:
    """A mutant that does not even let the tests begin is killed, too: without it, they do."""
    if status == NOTHING_RAN:
        raise SystemExit(f"no test ran: {output}")
    if status == 0:
        return SURVIVED, ""
    if re.search(r"^\++ Timeout \++$", output, re.MULTILINE):
        return TIMED_OUT, f"a test that takes {HANG_S} s"
    found = re.search(r"^(?:FAILED|ERROR) (\S+)", output, re.MULTILINE)
    return KILLED, found[1] if found else f"status {status}"

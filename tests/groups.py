"""A program whose end is the end of all that it has started."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

MARK = "GLLM_TESTS_GROUP"


def run_group(command: Sequence[str], *, cwd: Path, env: Mapping[str, str], limit_s: float) -> tuple[int | None, str]:
    """Its status, None if it took longer than *limit_s* seconds, and what it wrote. What it has left running is killed.

    A broken copy of the library leaves programs that never end. They write to a file: a pipe is open for as long as they run.
    """
    mark = uuid4().hex
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**env, MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        status: int | None = None
        try:
            with suppress(subprocess.TimeoutExpired):
                status = process.wait(limit_s)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            _kill_marked(f"{MARK}={mark}".encode())
        output.seek(0)
        return status, output.read()


def _kill_marked(mark: bytes) -> None:
    """Those that began a group of their own, too: they have inherited the environment. Only where there is a /proc."""
    found = True
    while found:
        found = False
        for environment in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):  # it has ended since, or is another user's
                if mark in environment.read_bytes().split(b"\0"):
                    os.kill(int(environment.parent.name), signal.SIGKILL)
                    found = True

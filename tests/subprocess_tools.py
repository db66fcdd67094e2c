"""Runs a program text in an interpreter of its own, under a hard limit; one that hangs fails the test with all its stacks."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

LIMIT_S = 90.0
"""How long a program may take before it counts as hung, in seconds."""

STACKS_S = 3.0
"""How long a hung program gets to write its stacks, in seconds."""

FORK_BESIDE_THREADS = ("-W", "ignore:This process:DeprecationWarning")
"""Python 3.12+ warns of every fork beside threads; forking beside threads is what the fork tests prove."""

STRICT = ("-X", "dev", "-W", "error", *FORK_BESIDE_THREADS)
"""Debug mode, and every warning an error: a ResourceWarning at exit shows on stderr."""


COMMON = """
import asyncio, atexit, gc, logging, os, signal, sys, threading, time, warnings, weakref
import anyio
from concurrent.futures import CancelledError
from gllm_core.concurrency import *
from gllm_core.concurrency import _portal as room

if hasattr(signal, "alarm"):
    signal.alarm(150)  # no program outlives a test run that was killed
signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it, and so would we

GRACE_S = room.SHUTDOWN_GRACE_S
room.SHUTDOWN_GRACE_S = 120.0  # an exit that waits for the grace counts as hung, however slow the machine
logging.getLogger("asyncio").setLevel(logging.ERROR)  # in debug mode it warns of every slow callback of a loaded machine

def say(*words, write=os.write):
    write(1, (" ".join(map(str, words)) + "\\n").encode())

async def one():
    await asyncio.sleep(0)
    return 1

started = threading.Semaphore(0)

async def endless(name="endless"):
    try:
        started.release()
        await anyio.sleep_forever()
    finally:
        await asyncio.sleep(0)
        say("finally", name)

def in_thread(func, *args, daemon=True):
    thread = threading.Thread(target=func, args=args, daemon=daemon)
    thread.start()
    return thread

"""
"""What the programs begin with: the public names, a line of output that no buffer holds back, coroutines, a thread."""


@dataclass(frozen=True)
class Finished:
    """What a program left behind: its exit status (negative for a signal), its output, and the seconds that it took."""

    status: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def lines(self) -> list[str]:
        return self.stdout.splitlines()

    def expect(self, *lines: str, status: int = 0, stderr: str = "") -> None:
        """Assert the exit status, every line of stdout in order, and that stderr is exactly *stderr*."""
        found = f"--- status {self.status}, stdout\n{self.stdout}\n--- stderr\n{self.stderr}"
        assert (self.lines, self.stderr, self.status) == (list(lines), stderr, status), found


def run_program(source: str, *args: str, options: tuple[str, ...] = (), limit_s: float = LIMIT_S) -> Finished:
    """Run the program text *source* and wait until it, and every child that holds its output, has ended.

    It runs in a session, hence a process group, of its own, so that signals sent to its group stay there. The
    environment is inherited, so coverage of subprocesses works. On time-out every process of the group gets SIGABRT,
    on which faulthandler writes the stacks of all its threads.
    """
    with tempfile.TemporaryDirectory(prefix="program-") as folder:
        file = Path(folder, "program.py")
        file.write_text(textwrap.dedent(source))
        began = time.monotonic()
        with subprocess.Popen(
            [sys.executable, *options, str(file), *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONFAULTHANDLER": "1"},
        ) as process:
            try:
                stdout, stderr = process.communicate(timeout=limit_s)
            except subprocess.TimeoutExpired:
                pytest.fail(_abort(process, limit_s), pytrace=False)
            finally:
                _signal_group(process, signal.SIGKILL)
        return Finished(process.returncode, stdout, stderr, time.monotonic() - began)


def _abort(process: subprocess.Popen[str], limit_s: float) -> str:
    if sys.platform == "linux":
        with suppress(OSError):
            resource.prlimit(process.pid, resource.RLIMIT_CORE, (0, 0))
    ended = "" if process.poll() is None else f" (its main process ended with {process.returncode}, a child of it did not)"
    _signal_group(process, signal.SIGABRT)
    try:
        stdout, stderr = process.communicate(timeout=STACKS_S)
    except subprocess.TimeoutExpired:
        _signal_group(process, signal.SIGKILL)
        stdout, stderr = process.communicate()
    return f"hung: no end after {limit_s} s{ended}\n--- stdout\n{stdout}\n--- stderr, with stacks\n{stderr}"


def _signal_group(process: subprocess.Popen[str], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)

"""A part of an exploration, in a child process of its own. It runs on any executor: what goes in or out can be pickled.

A child, as a hang of the explorer or a crash of the interpreter must end neither the worker nor the campaign; and so that each
part begins in the same state, wherever it runs.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field

from .._farm import worker_name
from ._report import Finding
from ._runner import Settings
from ._strategies import Frontier, Work

GRACE_S = 30.0
"""How much longer than its limits allow a child may take before it is ended from outside, in seconds."""


@dataclass(frozen=True)
class Exploration:
    """A scenario, and how it is explored."""

    name: str
    scenario: str
    """Where a worker finds it: `module:function`."""
    settings: Settings
    preemptions: int | None = None
    sampled: int | None = None
    """How many schedules PCT chooses; None for all of them within the bound."""
    seed: int = 0


@dataclass(frozen=True)
class Shard:
    """What is asked of a child: all schedules that begin like one of `levels`, or so many samples, or one schedule."""

    key: int
    exploration: Exploration
    levels: Frontier | None = None
    samples: int = 0
    seed: int = 0
    replay: str | None = None
    seconds: float = 10.0
    """After so many it hands back what is left."""
    limit_s: float = 60.0
    """A schedule that takes longer is a hang."""


@dataclass
class ShardResult:
    """What a child found out."""

    key: int
    schedules: int = 0
    steps: int = 0
    seconds: float = 0.0
    finding: Finding | None = None
    hang: str | None = None
    """All stacks, where a schedule did not end."""
    died: str | None = None
    """What the child wrote to stderr, where it ended without a word."""
    rest: Frontier = field(default_factory=list[list[Work]])
    why: str = ""
    calm: bool = False
    """Whether a part of some schedule was to pass without a choice."""
    worker: str = ""


def run_shard(shard: Shard) -> ShardResult:
    """Run *shard* in a child process and read what it found out."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}._shard_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
            env={**os.environ, "PYTHONHASHSEED": "0"},  # the order of sets is the same in all of them
        )
        try:
            said = _talk(process, pickle.dumps((sys.path, shard)), shard.seconds + 3 * shard.limit_s + GRACE_S)
        finally:
            _signal(process, signal.SIGKILL)
            process.wait()
        if said:
            result: ShardResult = pickle.loads(said)
        else:
            stderr.seek(max(0, stderr.seek(0, os.SEEK_END) - 20_000))
            wrote = stderr.read().decode(errors="replace").strip()
            hung = process.returncode == -signal.SIGABRT
            died = f"the child process ended with status {process.returncode}\n{wrote}"
            result = ShardResult(shard.key, hang=wrote if hung else None, died=None if hung else died)
    result.worker = worker_name()
    result.seconds = result.seconds or time.monotonic() - began
    return result


def _talk(process: subprocess.Popen[bytes], asked: bytes, patience_s: float) -> bytes:
    try:
        said, _ = process.communicate(asked, timeout=patience_s)
    except subprocess.TimeoutExpired:
        _signal(process, signal.SIGABRT)  # faulthandler writes all stacks, whoever holds the interpreter's lock
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
        return b""
    return said


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, number)
        else:
            process.kill()

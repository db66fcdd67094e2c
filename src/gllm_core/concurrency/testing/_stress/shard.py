"""A shard: some seconds of one scenario, in a child process. It runs on any executor: what goes in or out can be pickled."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._farm import worker_name

GRACE_S = 30.0
"""How much longer than its limits allow a child may take before it is ended from outside, in seconds."""


@dataclass(frozen=True)
class Shard:
    """What is asked of a child. *again*: the one round over and over, until it fails or *seconds* are over."""

    scenario: str
    seed: int
    first: int
    seconds: float
    limit_s: float
    again: bool = False
    rounds: int | None = None
    """End after so many, even if *seconds* are not over."""
    progress: str | None = None
    """A file that tells how many rounds and operations there have been, about once a second."""


@dataclass
class ShardResult:
    """What a child said."""

    shard: Shard
    rounds: int = 0
    operations: int = 0
    outcomes: Counter[str] = field(default_factory=Counter[str])
    faults: Counter[str] = field(default_factory=Counter[str])
    violations: list[str] = field(default_factory=list[str])
    leaks: list[str] = field(default_factory=list[str])
    hang: str | None = None
    """All stacks, where a round did not end."""
    bad_round: int | None = None
    history: list[str] = field(default_factory=list[str])
    perturbation: str = ""
    grown: int = 0
    """By how many bytes the resident memory had grown at the end, since the first rounds."""
    highest: int = 0
    """The same, at its highest between two rounds."""
    worker: str = ""
    slowest_s: float = 0.0
    seconds: float = 0.0

    @property
    def bad(self) -> bool:
        return self.bad_round is not None


def run_shard(shard: Shard) -> ShardResult:
    """Run *shard* in a child process and read what it says."""
    result = ShardResult(shard, worker=worker_name())
    began = time.monotonic()
    asked = json.dumps(dict(shard.__dict__))
    told = began
    with tempfile.TemporaryFile() as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.child", asked],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
        )
        patience = threading.Timer(shard.seconds + 5 * shard.limit_s + GRACE_S, end, [process])
        patience.daemon = True
        patience.start()
        current: int | None = None
        done = False
        try:
            assert process.stdout is not None
            for line in process.stdout:
                message = json.loads(line)
                current = message.get("begin", current)
                _take(result, message)
                if shard.progress is not None and time.monotonic() - told > 1.0:
                    told = time.monotonic()
                    _tell(result, shard.progress)
                done = "done" in message
                if done or "hang" in message:  # what the child has started may hold the pipe open
                    break
            else:
                process.wait()
        finally:
            patience.cancel()
            end(process)
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        if not done and not result.bad:
            stderr.seek(max(0, stderr.seek(0, os.SEEK_END) - 20_000))
            _explain_end(result, current, process.returncode, stderr.read().decode(errors="replace"))
    result.seconds = time.monotonic() - began
    return result


def _tell(result: ShardResult, file: str) -> None:
    """For whoever looks at *file* meanwhile; who does not see it whole looks again."""
    with suppress(OSError):
        Path(file).write_text(json.dumps([result.rounds, result.operations, result.faults.total()]))


def _take(result: ShardResult, message: dict[str, Any]) -> None:
    ended = message.get("end")
    if ended is not None:
        result.rounds += 1
        result.operations += ended["operations"]
        result.outcomes.update(ended["outcomes"])
        result.faults.update(ended["faults"])
        result.slowest_s = max(result.slowest_s, ended["seconds"])
        if ended["violations"] or ended["leaks"]:
            result.bad_round = ended["round"]
            result.violations += ended["violations"]
            result.leaks += ended["leaks"]
            result.history = ended["history"]
            result.perturbation = ended["perturbation"]
    elif "hang" in message:
        result.bad_round, result.hang = message["hang"], message["report"]
    elif "died" in message:
        result.bad_round = message["died"]
        result.violations.append(f"the process of the round died with status {message['status']}")
    elif "done" in message:
        result.grown, result.highest = message["grown"], message["highest"]


def _explain_end(result: ShardResult, current: int | None, status: int, stderr: str) -> None:
    """The child ended without a word."""
    result.bad_round = result.shard.first if current is None else current
    if "Timeout (" in stderr or (status == -signal.SIGKILL and current is not None):
        result.hang = stderr or "the process had to be killed, and left no stacks"
    else:
        result.violations.append(f"the child process ended with status {status}:\n{stderr.strip()}")


def end(process: subprocess.Popen[bytes]) -> None:
    """End a child with all that it has started."""
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()

"""Programs in processes of their own: what they say line by line, what they are told, how they end. Every wait is bounded."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

WAIT_S = 60.0
"""How long a child may take for what it must do, in seconds."""

STACKS_S = 3.0
"""How long a child that is taken for hung gets to write its stacks, in seconds."""

PROGRAMS = Path(__file__).parent / "programs"

PYTHON = (sys.executable, "-X", "dev")

SLOW = re.compile(r"Executing <.*> took \d+\.\d+ seconds$")
"""What asyncio says in debug mode of each callback on a machine under load."""

Stream = Literal["stdout", "stderr"]


@dataclass(frozen=True)
class Ended:
    """What a child left behind: its exit status (negative for a signal), and the lines of its output."""

    status: int
    stdout: list[str]
    stderr: list[str]

    def __str__(self) -> str:
        return "\n".join((f"ended with {self.status}", "--- stdout", *self.stdout, "--- stderr", *self.stderr))

    def expect(self, *stdout: str, status: int = 0) -> None:
        """Assert the exit status, every line of stdout in order, and an empty stderr."""
        assert (self.stdout, self.stderr, self.status) == (list(stdout), [], status), str(self)

    def expect_only_logs(self, *patterns: str, status: int = 0) -> None:
        """Assert the exit status, and that each line of stderr begins with one of *patterns*."""
        strange = [line for line in self.stderr if line.strip() and not any(re.match(pattern, line) for pattern in patterns)]
        assert (strange, self.status) == ([], status), str(self)


class Child:
    """A process, in a group of its own. `_lines` is guarded by `_news`, which is notified of each line and of each end."""

    def __init__(self, command: Iterable[str | Path], env: dict[str, str] | None = None, cwd: Path | None = None) -> None:
        self._process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            cwd=cwd,
            env={**os.environ, "PYTHONFAULTHANDLER": "1", "PYTHONUNBUFFERED": "1", **(env or {})},
        )
        self.pid = self._process.pid
        self._news = threading.Condition()
        self._lines: dict[Stream, list[str]] = {"stdout": [], "stderr": []}
        self._open: set[Stream] = {"stdout", "stderr"}
        pipes: tuple[tuple[Stream, IO[bytes] | None], ...] = (
            ("stdout", self._process.stdout),
            ("stderr", self._process.stderr),
        )
        self._readers = [threading.Thread(target=self._read, args=pipe, name=f"reads {pipe[0]}", daemon=True) for pipe in pipes]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: Stream, pipe: IO[bytes]) -> None:
        with pipe:
            for line in pipe:
                with self._news:
                    self._lines[stream].append(line.decode(errors="replace").rstrip("\r\n"))
                    self._news.notify_all()
        with self._news:
            self._open.discard(stream)
            self._news.notify_all()

    def until(self, pattern: str, stream: Stream = "stdout") -> re.Match[str]:
        """Wait until a line of *stream* has *pattern* in it; the match of the first such line."""
        lines = self._lines[stream]

        def found() -> re.Match[str] | None:
            return next((match for line in tuple(lines) if (match := re.search(pattern, line))), None)

        with self._news:
            self._news.wait_for(lambda: found() or stream not in self._open, WAIT_S)
            match = found()
        if match is None:
            raise AssertionError(f"no line of {stream} has {pattern!r} in it\n{self._abort()}")
        return match

    def tell(self, line: str) -> None:
        """Write *line* to its stdin."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def end(self) -> Ended:
        """Wait until it, and every process that holds its output, has ended."""
        with self._news:
            if not self._news.wait_for(lambda: not self._open, WAIT_S):
                raise AssertionError(f"hung\n{self._abort()}")
        try:
            status = self._process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it closed its output and did not end\n{self._abort()}") from None
        return Ended(status, self._lines["stdout"], [line for line in self._lines["stderr"] if not SLOW.match(line)])

    def close(self) -> None:
        """End it by force, and all that it has started."""
        self._signal_group(signal.SIGKILL)
        self._process.wait(WAIT_S)
        for reader in self._readers:
            reader.join(WAIT_S)
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()

    def _abort(self) -> str:
        self._signal_group(signal.SIGABRT)
        with self._news:
            self._news.wait_for(lambda: not self._open, STACKS_S)
            return "\n".join(f"--- {stream}\n" + "\n".join(lines) for stream, lines in self._lines.items())

    def _signal_group(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


@contextmanager
def started(*command: str | Path, env: dict[str, str] | None = None, cwd: Path | None = None) -> Generator[Child, None, None]:
    """A child that runs *command*, ended by force if the block leaves it running."""
    child = Child(command, env, cwd)
    try:
        yield child
    finally:
        child.close()


def run(*command: str | Path, env: dict[str, str] | None = None, cwd: Path | None = None) -> Ended:
    """Run *command* to its end."""
    with started(*command, env=env, cwd=cwd) as child:
        return child.end()


def python_path(*folders: Path) -> dict[str, str]:
    """The environment in which *folders* can be imported from."""
    return {"PYTHONPATH": os.pathsep.join(map(str, folders))}

"""A program at a terminal of its own: what is typed, what it shows, and how it ends."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from ecosystem.children import WAIT_S

ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[a-zA-Z]|\][^\x07]*\x07|[=>()][A-Z0-9]?)")
CTRL_C, CTRL_D = "\x03", "\x04"


class Terminal:
    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process, self._master = process, master
        self._shown, self._seen = "", 0

    def until(self, text: str) -> str:
        """Wait until *text* is shown beyond what was waited for before; all that came up to there."""
        deadline = time.monotonic() + WAIT_S
        while (found := self._shown.find(text, self._seen)) < 0:
            ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
            try:
                data = os.read(self._master, 10000) if ready else b""
            except OSError:  # nobody holds the other end any more
                data = b""
            if not data:
                raise AssertionError(f"{text!r} was not shown, but this:\n{self._shown}")
            self._shown = ESCAPES.sub("", (self._shown + data.decode(errors="replace")).replace("\r", ""))
        before, self._seen = self._shown[self._seen : found], found + len(text)
        return before

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def end(self) -> int:
        return self.process.wait(WAIT_S)


@contextmanager
def at_terminal(*command: str | Path, env: dict[str, str] | None = None) -> Generator[Terminal, None, None]:
    """*command*, leader of a session whose terminal this is, so that Ctrl-C there is a signal here."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [str(part) for part in command],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**os.environ, "TERM": "dumb", "PYTHONFAULTHANDLER": "1", **(env or {})},
        preexec_fn=take_terminal,  # one system call
    )
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(WAIT_S)
        os.close(master)


def take_terminal() -> None:
    """In the child: a session of its own, with the terminal that is its stdin."""
    os.login_tty(0)

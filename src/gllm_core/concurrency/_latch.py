"""An event that happens once."""

from __future__ import annotations

import threading
from contextlib import suppress


class Latch:
    """A `threading.Event` that is never cleared, without the lock that one takes to be waited for, or set.

    A signal handler or finalizer may come anywhere, and wait for, or set, what its own thread was about to wait for.
    """

    __slots__ = ("_closed", "_is_set")

    def __init__(self) -> None:
        self._closed = threading.Lock()
        self._closed.acquire()
        self._is_set = False

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True
        self._open()

    def wait(self, timeout: float) -> bool:
        """Whether it is set, within *timeout* seconds."""
        if not self._is_set and self._closed.acquire(timeout=timeout):
            self._open()  # for the next one; where Ctrl-C comes before this, that one waits for its time-out
        return self._is_set

    def _open(self) -> None:
        with suppress(RuntimeError):  # it is open
            self._closed.release()

"""must_finish: a hang ends, and shows where it hung."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Generator
from contextlib import suppress
from types import FrameType
from typing import Any

from ._arguments import refuse_number
from ._blocks import block
from ._stacks import report

SECOND_CHANCE_S = 5.0
"""How long each attempt to end the block has, before the next, rougher one, in seconds."""

HANG_STATUS = 3
"""The exit status of a process that could be ended in no other way."""

_SIGNAL: signal.Signals | None = getattr(signal, "SIGALRM", None)


class HangError(AssertionError):
    """The block did not end in time. `report` has every thread's stack, every task's await chain, and the calls in flight."""

    def __init__(self, seconds: float, text: str) -> None:
        self.report = text
        super().__init__(f"not finished after {seconds:g} s\n{text}")


class _Watchdog:
    """Ends the block of one `must_finish`, by ever rougher means.

    `_ended` is set by the block's thread; `report` is written before anything is done to the block, so whoever leaves the
    block because of it finds it.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ended = threading.Event()
        self._owner = threading.current_thread()
        self._task = _current_task()
        self._loop = None if self._task is None else self._task.get_loop()
        self._scope = None if self._task is not None else _trio_scope()
        self._wake_trio: Any = None
        self._handler: Any = None
        self.report: str | None = None
        self._thread = threading.Thread(target=self._watch, name="must-finish", daemon=True)

    def __enter__(self) -> _Watchdog:
        if _SIGNAL is not None and self._owner is threading.main_thread():
            self._handler = signal.signal(_SIGNAL, self._interrupt)
        if self._scope is not None:
            self._wake_trio = sys.modules["trio"].lowlevel.current_trio_token().run_sync_soon
            self._scope.__enter__()
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._ended.set()
        self._thread.join()
        if self._handler is not None and _SIGNAL is not None:
            signal.signal(_SIGNAL, self._handler)
        if self._scope is not None:
            self._scope.__exit__(*exc_info)
        if self.report is not None:
            if self._task is not None:
                self._task.uncancel()
            raise HangError(self._seconds, self.report)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        # The exception that everything knows how to leave with: AnyIO, asyncio, and a syncified call's wait.
        if not self._ended.is_set():
            raise KeyboardInterrupt

    def _watch(self) -> None:
        if self._ended.wait(self._seconds):
            return
        self.report = _report_anyway()
        if self._task is not None and self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._task.cancel)
            if self._ended.wait(SECOND_CHANCE_S):
                return
        if self._scope is not None:
            with suppress(RuntimeError):  # the run is over
                self._wake_trio(self._scope.cancel)
            if self._ended.wait(SECOND_CHANCE_S):
                return
        if self._handler is not None and _SIGNAL is not None and self._owner.ident is not None:
            for _ in range(2):
                signal.pthread_kill(self._owner.ident, _SIGNAL)
                if self._ended.wait(SECOND_CHANCE_S):
                    return
        print(
            f"not finished after {self._seconds:g} s, and not to be interrupted\n{self.report}", file=sys.__stderr__, flush=True
        )
        os._exit(HANG_STATUS)


def _report_anyway() -> str:
    """The report; or why there is none, as the block is to be ended all the same."""
    try:
        return report()
    except Exception as error:  # noqa: BLE001 # whatever it looked at
        return f"no report: {type(error).__name__} as it was made"


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def _trio_scope() -> Any:
    """A scope for a block of a task of trio, which nothing else ends without the whole run; None elsewhere."""
    trio = sys.modules.get("trio")
    try:
        return None if trio is None or trio.lowlevel.current_task() is None else trio.CancelScope()
    except RuntimeError:  # none is running here
        return None


@block
def must_finish(seconds: float) -> Generator[None]:
    """End the block if it has not ended by itself after *seconds*, and show where it hung.

    Args:
        seconds: how long the block may take, in seconds.

    Raises:
        HangError: the block took longer. The message has all threads' stacks, each task's whole await chain and the
            names of the calls in flight, as they were when the time was over.
        TypeError, ValueError: *seconds* is no number, or not more than 0.

    **Cancellation:** in a task of asyncio or trio, the block is cancelled; a block of the main thread is interrupted with
    `KeyboardInterrupt`, twice if need be. What resists for `SECOND_CHANCE_S` seconds each, and a block of another thread,
    ends with the process: the report goes to stderr, and the status is `HANG_STATUS`.

    **Threads:** one thread watches. In the main thread SIGALRM is used meanwhile; blocks may be nested.

    Example:
        >>> with must_finish(10):
        ...     pass
    """
    refuse_number("must_finish()", "seconds", seconds, "how long the block may take")
    with _Watchdog(seconds):
        yield

"""What became of every call of a round, and whether that is what was promised."""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

from gllm_core.concurrency import PortalNotRunningError

VALUE = "value"
OWN_ERROR = "own error"
CANCELLED = "cancelled"
DEADLINE = "deadline"
INTERRUPTED = "interrupted"
NOT_RUNNING = "portal not running"
NO_THREAD = "no thread"

OWN = frozenset({VALUE, OWN_ERROR})
"""What the function itself decides."""


class PlannedError(Exception):
    """What a function raises because its scenario says so."""


class PlannedBaseError(BaseException):
    """What belongs to its caller, and must not be taken for the end of a thread or of a loop."""


class Entry:
    """One call: how often its function ran, and how it ended. Written by many threads, each append is atomic."""

    def __init__(self, number: int, what: str, may: frozenset[str], *, waits: bool) -> None:
        """*may*: how it may end. *waits*: whether nobody learns of its end while the function runs, or before it begins."""
        self.number = number
        self.what = what
        self.may = may
        self.waits = waits
        self.error: BaseException | None = None
        """What the function is to raise."""
        self.began: list[float] = []
        self.ended: list[float] = []
        self.outcomes: list[tuple[float, str]] = []
        self.marks: list[tuple[float, str]] = []

    @contextmanager
    def running(self) -> Generator[None]:
        """Around what the function does: it begins, it ends."""
        self.began.append(time.monotonic())
        try:
            yield
        finally:
            self.ended.append(time.monotonic())

    def result(self) -> int:
        """What the function does last: return the one value, or raise the one error, that belongs to this call."""
        if self.error is not None:
            raise self.error
        return self.number

    def mark(self, text: str) -> None:
        """Note what happened to the call from outside."""
        self.marks.append((time.monotonic(), text))

    def came(self, outcome: str) -> None:
        self.outcomes.append((time.monotonic(), outcome))

    def settle(self, call: Callable[[], object]) -> None:
        """Make a blocking call, and note how it ended."""
        try:
            value = call()
        except BaseException as error:  # noqa: BLE001 # whatever it is, it is the outcome
            self.came(self.classify(error))
        else:
            self.came(self.of_value(value))

    async def settle_async(self, call: Awaitable[object]) -> None:
        """Await a call, and note how it ended. A cancellation goes on to whoever asked for it."""
        try:
            value = await call
        except BaseException as error:
            outcome = self.classify(error)
            self.came(outcome)
            if outcome == CANCELLED or isinstance(error, GeneratorExit):
                raise
        else:
            self.came(self.of_value(value))

    def of_value(self, value: object) -> str:
        return VALUE if value == self.number else f"the value {value!r} of another call"

    def classify(self, error: BaseException) -> str:
        if self.error is not None and error is self.error:
            return OWN_ERROR
        self.mark(f"{type(error).__name__}: {error}, from {_where(error)}")
        if _is_cancellation(error):
            return CANCELLED
        if isinstance(error, TimeoutError):
            return DEADLINE
        if isinstance(error, KeyboardInterrupt):
            return INTERRUPTED
        if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
            return NO_THREAD
        if isinstance(error, PortalNotRunningError):
            return NOT_RUNNING
        return f"unexpected {type(error).__name__}: {error}"

    def violations(self) -> Iterator[str]:
        """What is not as promised, once the round is over."""
        if len(self.outcomes) != 1:
            yield f"has {len(self.outcomes)} outcomes instead of one"
        if len(self.began) > 1:
            yield f"its function ran {len(self.began)} times"
        if len(self.ended) < len(self.began):
            yield "its function never ended"
        for moment, outcome in self.outcomes:
            if outcome not in self.may:
                yield f"ended with {outcome!r}; may end with {sorted(self.may)}"
            if outcome in OWN and len(self.began) != 1:
                yield f"ended with its function's {outcome}, but that ran {len(self.began)} times"
            if self.waits and any(began > moment for began in self.began):
                yield f"its function began after the call had ended with {outcome!r}"
            elif self.waits and any(ended > moment for ended in self.ended):
                yield f"the call ended with {outcome!r} while its function was running"

    def events(self) -> Iterator[tuple[float, str]]:
        """All that happened to it."""
        for moments, text in ((self.began, "function began"), (self.ended, "function ended")):
            for moment in moments:
                yield moment, f"call {self.number}: {text}"
        for moment, text in self.marks:
            yield moment, f"call {self.number}: {text}"
        for moment, outcome in self.outcomes:
            yield moment, f"call {self.number}: {outcome}"


def _where(error: BaseException) -> str:
    """The line that raised *error*."""
    traceback = error.__traceback__
    if traceback is None:
        return "nowhere"
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    code = traceback.tb_frame.f_code
    return f"{code.co_filename}:{traceback.tb_lineno} in {code.co_qualname}"


def _is_cancellation(error: BaseException) -> bool:
    trio = sys.modules.get("trio")
    kinds: tuple[Any, ...] = (asyncio.CancelledError, concurrent.futures.CancelledError)
    return isinstance(error, kinds if trio is None else (*kinds, trio.Cancelled))


class History:
    """All calls of one round, and what else happened in it."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._began = time.monotonic()
        self.entries: list[Entry] = []
        self.counted = 0
        """Calls that somebody else has kept count of: too many for an entry each."""
        self._notes: list[tuple[float, str]] = []
        self._wrong: list[str] = []

    def new(self, what: str, *may: str, waits: bool = False, error: BaseException | None = None) -> Entry:
        """Begin an entry for one call, which may end in what its function decides, or in one of *may*."""
        entry = Entry(next(self._numbers), what, OWN.union(may), waits=waits)
        entry.error = error
        entry.mark(f"{what}, by {threading.current_thread().name}")
        self.entries.append(entry)
        return entry

    def note(self, text: str) -> None:
        """Write down what happened beside the calls: a stop, a fork, a fault."""
        self._notes.append((time.monotonic(), text))

    def wrong(self, text: str) -> None:
        """Write down a violation that no entry shows by itself."""
        self.note(f"VIOLATION: {text}")
        self._wrong.append(text)

    def violations(self) -> list[str]:
        found = list(self._wrong)
        for entry in self.entries:
            found += [f"call {entry.number} ({entry.what}) {text}" for text in entry.violations()]
        return found

    def tell(self, longest: int = 150) -> list[str]:
        """What happened, in order: the calls that are in violation, and all notes; of those, the last *longest* lines."""
        guilty = [entry for entry in self.entries if any(entry.violations())]
        events = [*self._notes, *(event for entry in guilty for event in entry.events())]
        lines = [f"{1000 * (moment - self._began):10.3f} ms  {text}" for moment, text in sorted(events)]
        return lines if len(lines) <= longest else [f"... {len(lines) - longest} more", *lines[-longest:]]

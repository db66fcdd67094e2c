"""A way into a running asyncio loop, from other threads, that costs less than `call_soon_threadsafe`."""

from __future__ import annotations

import operator
import os
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from ._anyio_internals import asyncio

T = TypeVar("T")


class _EventFd:
    """A descriptor that is closed when nobody has it any more, so that nobody writes to another that got its number."""

    __slots__ = ("_close", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self._close = os.close  # held here, as the interpreter may have emptied our modules

    def __del__(self) -> None:
        self._close(self.number)


class Entrance:
    """What is to be done on one loop, as others leave it here.

    asyncio is woken through a pair of sockets: a send, a receive, and another one that finds nothing. Here it is one write and
    one read of a counter. Nothing is left lying: a write follows what was added, and the loop reads before it looks. An
    interrupt between the two is the caller's to deal with: its call is cancelled, and that is added and written, too.

    The loop keeps it alive, until it is closed. What waits then is dropped with it.
    """

    __slots__ = ("__weakref__", "_fd", "_loop", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[tuple[Callable[[Any], object], Any]] = deque()
        self._fd = _EventFd(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))
        Context().run(loop.add_reader, self._fd.number, self._arrive)  # or a copy of the context of here would live as long

    def send(self, act: Callable[[T], object], of: T) -> None:
        """Have the loop call ``act(of)``, from any thread. Raises RuntimeError if the loop is closed."""
        if self._loop.is_closed():
            raise RuntimeError("the event loop is closed")
        self._waiting.append((act, of))
        os.eventfd_write(self._fd.number, 1)

    def _arrive(self) -> None:
        try:
            try:  # noqa: SIM105 # at each wake-up; suppress takes twice as long
                os.eventfd_read(self._fd.number)
            except BlockingIOError:  # a forked process shares the counter, and was quicker
                pass
            for _ in range(len(self._waiting)):  # those that come later have written again
                act, of = self._waiting[0]
                try:
                    act(of)
                finally:
                    del act, of
                    self._waiting.popleft()
        except BaseException:  # of one of them, or Ctrl-C: not a matter of the others
            os.eventfd_write(self._fd.number, 1)
            raise

    def fileno(self) -> int:
        return self._fd.number

    def close(self) -> None:
        """On the loop's thread."""
        with suppress(RuntimeError):  # the loop was closed
            self._loop.remove_reader(self._fd.number)


def entrance_of(loop: asyncio.AbstractEventLoop) -> Entrance | None:
    """A new entrance to *loop*, on its thread; None where there is none: this system or this loop has no such thing."""
    uvloop = sys.modules.get("uvloop")
    known = isinstance(loop, asyncio.SelectorEventLoop) or (uvloop is not None and isinstance(loop, uvloop.Loop))
    if not known or not hasattr(os, "eventfd") or _selects_few(loop):
        return None
    with suppress(OSError, RuntimeError):  # no descriptor is to be had; or the loop's selector is not for ours
        return Entrance(loop)
    return None


def _selects_few(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether it waits in `select`, which from descriptor 1024 on fails for good, in the loop's next turn."""
    return type(getattr(loop, "_selector", None)).__name__ == "SelectSelector"


class WayIn:
    """An entrance that is there for as long as its loop is not closed, and else what the loop itself offers."""

    __slots__ = ("_entrance", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        entrance = entrance_of(loop)
        self._entrance = None if entrance is None else weakref.ref(entrance)
        self.loop = weakref.ref(loop)

    def schedule(self, func: Callable[[], object]) -> None:
        """Have the loop call *func*. For whoever holds the loop, from any thread. Raises RuntimeError once it is closed."""
        entrance = None if self._entrance is None else self._entrance()
        if entrance is not None:
            entrance.send(operator.call, func)
        elif (loop := self.loop()) is not None:
            loop.call_soon_threadsafe(func)
        else:
            raise RuntimeError("the event loop is gone")


class _OfThread(threading.local):
    way: WayIn | None = None


_of_thread = _OfThread()
"""The way that was asked for last on this thread."""

_ways: WeakKeyDictionary[asyncio.AbstractEventLoop, WayIn] = WeakKeyDictionary()
"""One for each loop, though it takes turns with others on a thread, or runs on one thread after another."""


def way_into(loop: asyncio.AbstractEventLoop) -> WayIn:
    """The way into *loop*, which runs on this thread."""
    way = _of_thread.way
    if way is None or way.loop() is not loop:
        way = _ways.get(loop)
        if way is None:
            way = _ways[loop] = WayIn(loop)
        _of_thread.way = way
    return way

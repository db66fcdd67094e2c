"""What is sent to a loop from elsewhere arrives once: on the loop, or, where that is closed over it, without."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from anyio.lowlevel import current_token

TRIES = 3
"""How often what raises on a loop is called in all: what an interrupt broke off is completed, and what cannot succeed ends."""

Act = Callable[[bool], object]
"""What is to be done; its argument says whether that is on the loop. On the loop it may be called again, if it raises."""


class _Delivery:
    """A callback that is called, or, if its loop drops it instead, acts when it is deleted: no token and no outcome is lost.

    What breaks it off on the loop (Ctrl-C, an exit that a log filter calls for) leaves the loop, and it is called again.
    """

    __slots__ = ("_act", "_once_more", "_schedule", "_tries")

    def __init__(self, act: Act, schedule: Callable[..., object], *, once_more: bool = True) -> None:
        self._act: Act | None = act
        self._schedule = schedule
        self._once_more = once_more
        self._tries = 0

    def __call__(self) -> None:
        if self._act is None:
            return
        try:
            self._act(True)
        except BaseException:
            self._tries += 1
            if self._tries == TRIES:
                self._act = None
            else:
                with suppress(RuntimeError):
                    self._schedule(self)
            raise
        self._act = None

    def drop(self) -> None:
        act = self.take_over()
        if act is not None:
            act(False)

    def __del__(self) -> None:
        act = self.take_over()
        if act is None:
            return
        if self._once_more:  # Ctrl-C may have come as it was about to be called; a loop that is closed says so
            again = _Delivery(act, self._schedule, once_more=False)
            try:
                self._schedule(again)
            except RuntimeError:
                again.take_over()  # or its own end would be a second one
            else:
                return
        act(False)

    def take_over(self) -> Act | None:
        act, self._act = self._act, None
        return act


def send(schedule: Callable[..., object], is_closed: Callable[[], bool], act: Act) -> bool:
    """Have *act* called by a loop, or without it if that is closed meanwhile. False, without a trace, if it is closed already.

    **Threads:** from any thread. Without the loop, *act* is called on this thread, or on whichever drops the callback.
    """
    delivery = _Delivery(act, schedule)
    try:
        schedule(delivery)
    except RuntimeError:
        delivery.take_over()
        return False
    if is_closed():  # perhaps just now, and the callback lies in what was its queue
        delivery.drop()
    return True


class Home:
    """A running event loop, as others reach it."""

    __slots__ = ("loop", "schedule")

    def __init__(self, loop: object, schedule: Callable[..., object]) -> None:
        self.loop = loop
        self.schedule = schedule
        """Calls a function there, from any thread. Raises RuntimeError once the loop is closed."""

    def is_closed(self) -> bool:
        """Whether what was scheduled may never be called. trio calls it all the same."""
        return getattr(self.loop, "is_closed", bool)()

    def send(self, act: Act) -> bool:
        return send(self.schedule, self.is_closed, act)


def home_here() -> Home:
    """The event loop that runs on this thread."""
    loop: Any = current_token().native_token
    return Home(loop, loop.call_soon_threadsafe if hasattr(loop, "call_soon_threadsafe") else loop.run_sync_soon)

"""One syncified call, as the caller's thread and the loop's share it."""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any, ClassVar

from anyio import CancelScope

from ._errors import PortalNotRunningError
from ._outcome import raise_unchanged
from ._registry import State

if TYPE_CHECKING:
    from ._dispatch import Dispatcher

FIRST_HEALTH_CHECK_S = 0.1
LAST_HEALTH_CHECK_S = 2.0


class Call:
    """One syncified call, from entry to outcome. The doorbell rings exactly once, when the outcome is there."""

    __slots__ = (
        "args",
        "began_at",
        "begun",
        "caller_cancelled",
        "cancel_delivered",
        "cancel_requested",
        "context",
        "dispatcher",
        "done",
        "doorbell",
        "error",
        "func",
        "given_up",
        "internal",
        "kwargs",
        "name",
        "refused",
        "scope",
        "task",
        "thread_id",
        "value",
    )

    shown: ClassVar[bool] = True
    """Whether `in_flight` shows it. One that carries a stream or scope waits between the steps, which are shown instead."""

    def __init__(
        self,
        func: Callable[..., Awaitable[Any]],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        context: Context,
        name: str,
        *,
        internal: bool = False,
    ) -> None:
        self.internal = internal
        """Whether it is a call of our own, which no user knows of."""
        self.func: Any = func
        self.args: Any = args
        self.kwargs: Any = kwargs
        self.context: Any = context
        self.name = name
        self.dispatcher: Dispatcher | None = None
        self.refused = False
        """Whether the portal died before the call began."""
        self.given_up: Callable[[], bool] | None = None
        """Whether the task whose loop this call blocks was cancelled meanwhile: nothing else tells its thread."""
        self.caller_cancelled = False
        """Whether that was seen, and this call was cancelled for it."""
        self.doorbell = threading.Lock()
        self.doorbell.acquire()
        self.value: Any = None
        self.error: BaseException | None = None
        self.done = self.begun = self.cancel_requested = self.cancel_delivered = False
        self.task: Any = None
        self.scope: CancelScope | None = None
        self.began_at = time.monotonic()
        self.thread_id: int | None = threading.get_ident()

    @property
    def state(self) -> State:
        if self.cancel_requested:
            return "cancelling"
        return "running" if self.begun else "queued"

    @property
    def portal_name(self) -> str | None:
        return None if self.dispatcher is None else self.dispatcher.thread_name

    def ring(self) -> None:
        """Tell the caller that the outcome is there."""
        doorbell = self.doorbell  # the caller may renew it as soon as the call is done
        self.done = True
        doorbell.release()

    def renew(self) -> None:
        """Make a refused call ready for another portal."""
        self.refused = self.done = False
        self.doorbell = threading.Lock()
        self.doorbell.acquire()

    def cancel(self) -> None:
        self.cancel_requested = True
        if self.dispatcher is not None:
            self.dispatcher.cancel(self)

    def portal_stops(self) -> None:
        """On the loop's thread. The portal waits for the end of this call, as of all."""

    def wait(self, dispatcher: Dispatcher) -> None:
        """Sleep until the outcome is there, looking now and then whether anybody is left to bring it."""
        # An interrupt may come just after the doorbell was heard: `done` is what counts.
        if self.done or self.doorbell.acquire(timeout=FIRST_HEALTH_CHECK_S):
            return
        # A thousand threads that wake up to look would be in the way of the loop that they wait for; and the first one
        # to see that it is dead tells all the others. The main thread looks often: a signal may come just before its wait.
        crowd = 1.0 if threading.current_thread() is threading.main_thread() else dispatcher.in_flight / 8
        rarer = min(max(1.0, crowd), 16.0)
        pause_s = FIRST_HEALTH_CHECK_S
        while not self.done:
            if self.given_up is not None:
                rarer, pause_s = 1.0, FIRST_HEALTH_CHECK_S / 2
                if self.given_up():
                    self.given_up = None
                    self.caller_cancelled = True
                    self.cancel()
            dispatcher.look_after(self)
            pause_s = min(2 * pause_s, LAST_HEALTH_CHECK_S)
            if self.doorbell.acquire(timeout=rarer * pause_s):
                return

    def take(self) -> Any:
        """The value; or the error is raised, as the same object, its chain untouched, and no reference kept."""
        error = self.error
        if error is None:
            value, self.value = self.value, None
            return value
        self.error = None
        try:
            raise_unchanged(error)
        finally:
            del error, self


def not_running(name: str) -> PortalNotRunningError:
    return PortalNotRunningError(f"the portal of {name!r} is not running; use one that is, or the default portal")

"""Calls into a portal's loop: one wake-up each, and never a wait on a loop that is dead.

Why no call is lost. A call enters `_calls` and is handed to the loop under `_lock`, and only while the state is OPEN.
`serve` sets the state to CLOSED under the same lock, on the loop, and then goes on running (`drain`) until `_calls` is
empty. So a call is either refused, or its start was queued on a loop that is still to turn. Where the loop is killed
without letting `serve` finish, the waiting caller sees it at its next health check.
"""

from __future__ import annotations

import enum
import os
import sys
import threading
import weakref
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from contextvars import Context
from types import CoroutineType
from typing import Any

from anyio import CancelScope, get_cancelled_exc_class
from anyio.from_thread import BlockingPortal

from ._anyio_internals import portal_thread_ident, running_asyncio_loop
from ._callables import not_awaitable
from ._errors import PortalNotRunningError
from ._loops import AsyncioTasks, GroupTasks

FIRST_HEALTH_CHECK_S = 0.05
LAST_HEALTH_CHECK_S = 2.0

_NOTHING: Any = object()


class _State(enum.Enum):
    NEW = enum.auto()
    OPEN = enum.auto()
    CLOSED = enum.auto()


class Call:
    """One syncified call, from entry to outcome. The doorbell rings exactly once, when the outcome is there."""

    __slots__ = (
        "args",
        "begun",
        "cancel_delivered",
        "cancel_requested",
        "context",
        "dispatcher",
        "done",
        "doorbell",
        "error",
        "func",
        "kwargs",
        "name",
        "scope",
        "task",
        "value",
    )

    def __init__(
        self,
        func: Callable[..., Awaitable[Any]],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        context: Context,
        name: str,
        dispatcher: Dispatcher,
    ) -> None:
        self.func: Any = func
        self.args: Any = args
        self.kwargs: Any = kwargs
        self.context: Any = context
        self.name = name
        self.dispatcher = dispatcher
        self.doorbell = threading.Lock()
        self.doorbell.acquire()
        self.value: Any = _NOTHING
        self.error: BaseException | None = None
        self.done = self.begun = self.cancel_requested = self.cancel_delivered = False
        self.task: Any = None
        self.scope: CancelScope | None = None

    def cancel(self) -> None:
        self.dispatcher.cancel(self)

    def wait(self) -> None:
        """Sleep until the outcome is there, looking now and then whether anybody is left to bring it."""
        pause_s = FIRST_HEALTH_CHECK_S
        while not self.doorbell.acquire(timeout=pause_s):
            if self.dispatcher.is_dead():
                self.dispatcher.bury()
            pause_s = min(2 * pause_s, LAST_HEALTH_CHECK_S)

    def take(self) -> Any:
        """The value; or the error is raised, as the same object, its chain untouched, and no reference kept."""
        error = self.error
        if error is None:
            value, self.value = self.value, None
            return value
        self.error = None
        # Raising inside an `except` block of the caller would make Python put the caller's exception into __context__.
        context = error.__context__
        try:
            raise error
        finally:
            error.__context__ = context
            del error, context, self


class Dispatcher:
    """The calls in flight on one portal.

    `_lock` guards `_state` and entry into `_calls`. It is re-entrant, as the garbage collector may run a `__del__` that
    makes a syncified call while this very thread holds it.
    """

    def __init__(self, portal: BlockingPortal) -> None:
        self.ident = portal_thread_ident(portal)
        """The identifier of the thread that runs the portal's loop."""
        self._portal: BlockingPortal | None = portal
        self._lock = threading.RLock()
        self._state = _State.NEW
        self._calls: dict[Call, None] = {}
        self._thread: threading.Thread | None = None
        self._tasks: AsyncioTasks | GroupTasks | None = None
        _dispatchers.add(self)

    # From any thread

    @property
    def accepts(self) -> bool:
        """Whether a call handed over now would be taken."""
        portal = self._portal
        return self._state is _State.OPEN and portal is not None and portal_thread_ident(portal) is not None

    @property
    def fresh(self) -> bool:
        """Whether nobody has started `serve` on the portal's loop yet."""
        return self._state is _State.NEW

    def names_in_flight(self) -> list[str]:
        return [call.name for call in tuple(self._calls)]

    def run(self, call: Call) -> None:
        """Hand *call* over and wait for its outcome.

        What interrupts the wait (Ctrl-C, an exception from a signal handler) cancels the coroutine, whose end is
        waited for; a second interrupt ends that wait, too.
        """
        try:
            accepted = self.hand_over(call)
            if accepted:
                call.wait()
        except BaseException as interrupt:
            self.cancel(call)
            if call in self._calls or call.done:
                call.wait()
            if call.error is not None and not isinstance(call.error, CancelledError):
                interrupt.__context__ = call.error
            call.error = call.value = None
            raise
        if not accepted:
            raise PortalNotRunningError(f"the portal of {call.name!r} is not running; use one that is, or the default portal")

    def cancel(self, call: Call) -> None:
        call.cancel_requested = True
        with self._lock:
            if call not in self._calls:
                return
            if self._tasks is None:
                self._finish(call, CancelledError())
                return
            with suppress(RuntimeError):  # the loop is gone; the caller's health check ends the call
                self._tasks.wake(self._deliver_cancel, call)

    def cancel_all(self) -> None:
        for call in tuple(self._calls):
            self.cancel(call)

    def is_dead(self) -> bool:
        """Whether no loop will ever again turn for the calls in flight. For the slow path: it takes microseconds."""
        if self._tasks is not None and self._tasks.closed():
            return True
        if self._thread is not None and not isinstance(self._thread, threading._DummyThread):
            return not self._thread.is_alive()
        portal = self._portal
        if self._state is _State.NEW and portal is not None:
            return not portal_is_alive(portal)
        return self.ident not in sys._current_frames()

    def bury(self) -> None:
        """Refuse all calls from now on, and end those in flight: their loop is dead."""
        with self._lock:
            self._state = _State.CLOSED
            self._portal = None
            calls = tuple(self._calls)
        for call in calls:
            self._finish(call, PortalNotRunningError(f"the portal of {call.name!r} died while the call was in flight"))

    def inherit(self) -> None:
        """In a forked child: the loop and every other thread stayed with the parent."""
        self._lock = threading.RLock()
        self.bury()

    def hand_over(self, call: Call) -> bool:
        """Register *call* and wake the loop for it; or refuse it, which leaves no trace."""
        if sys.is_finalizing():
            return False
        with self._lock:
            if self._state is _State.NEW:
                self._calls[call] = None  # `serve` starts it
                return True
            if not self.accepts:
                return False
            self._calls[call] = None
            try:
                self._tasks.wake(self._start, call)  # type: ignore[union-attr] # set before the state is OPEN
            except RuntimeError:  # the loop is closed, though `serve` never ended
                del self._calls[call]
                return False
            return True

    # On the loop's thread

    async def serve(self, portal: BlockingPortal, on_open: Callable[[], object] | None = None) -> None:
        """Run calls until *portal* is stopped; then let them end (or end them, where the stop cancels), as AnyIO does."""
        kind = AsyncioTasks if running_asyncio_loop() is not None else GroupTasks
        try:
            async with kind(self._drive) as tasks:
                await self._serve(portal, tasks, on_open)
        finally:
            self.bury()  # after the tasks have ended: what is left now has no loop any more

    async def _serve(
        self, portal: BlockingPortal, tasks: AsyncioTasks | GroupTasks, on_open: Callable[[], object] | None
    ) -> None:
        with self._lock:
            if self._state is _State.CLOSED:
                return
            self.ident = threading.get_ident()
            self._thread = threading.current_thread()
            self._tasks = tasks
            self._state = _State.OPEN
            waiting = tuple(self._calls)
        for call in waiting:
            self._start(call)
        if on_open is not None:
            on_open()
        try:
            await portal.sleep_until_stopped()
            self._close()
            await tasks.drain(self._calls, self._finish_cancelled)
        except GeneratorExit:  # the loop was dropped, not ended: nothing can be awaited any more
            raise
        except BaseException:
            self._close()
            tasks.cancel_hard(self._calls)
            with CancelScope(shield=True):
                await tasks.drain(self._calls, self._finish_cancelled)
            raise

    def _close(self) -> None:
        with self._lock:
            self._state = _State.CLOSED
            self._portal = None

    def _start(self, call: Call) -> None:
        if not call.done and call.task is None and self._tasks is not None:
            self._tasks.spawn(call)

    def _deliver_cancel(self, call: Call) -> None:
        if call.done or call.cancel_delivered or self._tasks is None:
            return
        if call.task is None:  # an interrupt came between registration and wake-up: it never starts
            self._finish(call, CancelledError())
        elif call.begun:
            call.cancel_delivered = True
            self._tasks.cancel(call)

    async def _drive(self, call: Call) -> None:
        call.begun = True
        error: BaseException | None = None
        result: Any = None
        try:
            with self._tasks.scope() as call.scope:  # type: ignore[union-attr] # spawned by it
                if call.cancel_requested and not call.cancel_delivered:
                    call.cancel_delivered = True
                    self._tasks.cancel(call)  # type: ignore[union-attr]
                result = call.func(*call.args, **call.kwargs)
                if type(result) is not CoroutineType and not _is_awaitable(result):
                    raise not_awaitable(call.name, result)
                call.value = await result
        except GeneratorExit:
            error = PortalNotRunningError(f"the portal of {call.name!r} died while the call was in flight")
            raise
        except get_cancelled_exc_class() as cancelled:
            error = _cancelled_error(cancelled)
        except BaseException as raised:  # noqa: BLE001 # one call's SystemExit is not the portal's: it goes to its caller
            error = raised
        finally:
            del result
            if error is None and call.value is _NOTHING:  # the scope took the cancellation
                error = CancelledError()
            self._finish(call, error)
            del error, call

    def _finish_cancelled(self, call: Call) -> None:
        self._finish(call, CancelledError())

    def _finish(self, call: Call, error: BaseException | None) -> None:
        """Ring the caller: once. All that the loop's side holds is let go before, so that nothing outlives the call."""
        with self._lock:
            if call.done:
                return
            call.done = True
            call.error = error
            call.func = call.args = call.kwargs = call.context = call.task = call.scope = None
            self._calls.pop(call, None)
        del error
        call.doorbell.release()


_dispatchers: weakref.WeakSet[Dispatcher] = weakref.WeakSet()


def portal_is_alive(portal: BlockingPortal) -> bool:
    """Whether *portal* was not stopped and its thread runs in this process. -1 stands for an AnyIO that does not say."""
    ident = portal_thread_ident(portal)
    return ident is not None and (ident == -1 or ident in sys._current_frames())


def _is_awaitable(result: object) -> bool:
    import inspect

    return inspect.isawaitable(result)


def _cancelled_error(cancelled: BaseException) -> CancelledError:
    error = CancelledError(*cancelled.args)
    error.__cause__ = cancelled
    return error


def _forget_parent() -> None:
    global _dispatchers
    inherited, _dispatchers = list(_dispatchers), weakref.WeakSet()
    for dispatcher in inherited:
        dispatcher.inherit()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)

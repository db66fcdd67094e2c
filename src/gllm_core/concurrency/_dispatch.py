"""Calls into a portal's loop: one wake-up each, and never a wait on a loop that is dead.

Why no call is lost. A caller puts its call into `_calls` and then looks at the state; `serve` sets the state to CLOSED and
then looks at `_calls`, on the loop, until all that is there has ended (`drain`). So a caller that saw OPEN has its call seen.
One that saw CLOSED takes it back, unless `drain` was quicker: whoever claims a call first decides whether it runs. Where the
loop is killed without letting `serve` finish, the waiting caller sees it at its next health check. Whoever takes a call out
of `_calls` finishes it, so it has one outcome.

There is no lock to be held by a caller: a signal handler or a `__del__` may come at any point of it and make a call of its own,
by way of another thread.
"""

from __future__ import annotations

import enum
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from inspect import isawaitable
from math import inf
from types import CoroutineType
from typing import Any, TypeVar

from anyio import CancelScope
from anyio.from_thread import BlockingPortal

from ._anyio_internals import (
    is_native_cancellation,
    portal_loop_is_closed,
    portal_loop_is_running,
    portal_thread_ident,
    running_asyncio_loop,
)
from ._call import Call
from ._callables import not_awaitable
from ._errors import PortalNotRunningError
from ._loops import AsyncioTasks, GroupTasks
from ._outcome import set_context
from ._registry import registry
from ._threads import known_thread, thread_exists

T = TypeVar("T")
_NOTHING: Any = object()
_COROUTINE: Any = CoroutineType


class _State(enum.Enum):
    NEW = enum.auto()
    OPEN = enum.auto()
    CLOSED = enum.auto()


class Dispatcher:
    """The calls in flight on one portal. `_lock` guards the transitions of `_state`, which callers only read."""

    def __init__(self, portal: BlockingPortal, answer_s: float = inf) -> None:
        """*answer_s*: how long the portal has until it serves, in seconds; after that it is taken for dead."""
        self._answer_by = time.monotonic() + answer_s
        self.ident = portal_thread_ident(portal)
        """The identifier of the thread that runs the portal's loop."""
        self._portal: BlockingPortal | None = portal
        self._lock = threading.RLock()
        self._state = _State.NEW
        self._calls: dict[Call, list[None]] = {}
        """With the claim on each: whoever takes it decides whether the call starts here."""
        self._thread: threading.Thread | None = None
        self._tasks: AsyncioTasks | GroupTasks | None = None
        self._inherited = False
        registry.dispatchers[id(self)] = self
        registry.when_used()

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

    @property
    def in_flight(self) -> int:
        return len(self._calls)

    def calls_in_flight(self) -> list[Call]:
        return [call for call in list(self._calls) if call.shown and not call.internal]

    @property
    def thread_name(self) -> str:
        """The name of the thread that runs the portal's loop, as far as it is known."""
        return f"thread {self.ident}" if self._thread is None else self._thread.name

    def names_in_flight(self) -> list[str]:
        return [call.name for call in list(self._calls) if not call.internal]

    def run(self, call: Call) -> bool:
        """Hand *call* over and wait for its outcome. False if it was refused, which leaves no trace.

        What interrupts the wait (Ctrl-C, an exception from a signal handler) cancels the coroutine, whose end is
        waited for; a second interrupt ends that wait, too.
        """
        call.dispatcher = self
        if call.thread_id == self.ident:
            self.refuse_own_thread(call.name)
        try:
            if not self.hand_over(call):
                return False
            call.wait(self)
            if call.refused:
                call.renew()
                return False
        except BaseException as interrupt:
            try:
                call.cancel()
                if call in self._calls:
                    call.wait(self)
            except RecursionError:  # not a frame is left for that, but what is in C needs none
                if not call.begun:
                    self._calls.pop(call, None)
                raise
            if call.error is not None and not issubclass(type(call.error), CancelledError):
                set_context(interrupt, call.error)
            call.error = call.value = None
            raise
        return True

    def refuse_own_thread(self, name: str) -> None:
        """On the thread that ran the portal's loop, where no loop is running: it would wait for itself.

        Raises:
            PortalNotRunningError: unless another thread runs that loop now.
        """
        portal = self._portal
        if portal is not None and not portal_loop_is_running(portal):
            raise PortalNotRunningError(
                f"the portal of {name!r} is not running: its loop is that of the thread that would wait for it; "
                "run the loop on a thread of its own, or use the default portal"
            )

    def cancel(self, call: Call) -> None:
        if call not in self._calls:
            return
        if self._tasks is None:
            if self._claim(call):
                self._finish(call, CancelledError())
            return
        self.ask_for_end(self._deliver_cancel, call)

    def ask_for_end(self, act: Callable[[T], object], of: T) -> None:
        """As `wake`, of what ends a call, or a step of one: where the loop is gone, the caller's health check does that."""
        try:
            self._tasks.wake(act, of)  # type: ignore[union-attr] # as it serves
        except RecursionError:
            raise
        except RuntimeError:
            pass

    def wake(self, act: Callable[[T], object], of: T) -> None:
        """Have the loop, which serves already, call ``act(of)``. Raises RuntimeError if it is closed."""
        self._tasks.wake(act, of)  # type: ignore[union-attr] # as it serves

    def cancel_all(self) -> None:
        for call in list(self._calls):
            call.cancel()

    def is_dead(self) -> bool:
        """Whether no loop will ever again turn for the calls in flight. For the slow path: it takes microseconds."""
        if self._inherited or (self._tasks is not None and self._tasks.closed()):
            return True
        if self._thread is not None:
            return not self._thread.is_alive()
        portal = self._portal
        if self._state is _State.NEW and portal is not None:
            return not portal_is_alive(portal) or portal_loop_is_closed(portal) or time.monotonic() > self._answer_by
        return self.ident is None or not thread_exists(self.ident)

    def look_after(self, call: Call) -> None:
        """End *call* if nobody else ever will. For the slow path."""
        if self.is_dead():
            self.bury()
            if self._inherited and not call.done:  # whoever took it, to tell its outcome, stayed with the parent
                self._calls[call] = []
                self._finish(call, _died(call))
        elif self._tasks is not None and self._tasks.never_began(call):
            self.finish_cancelled(call)

    def bury(self) -> None:
        """Refuse all calls from now on, and end those in flight: their loop is dead."""
        self._close()
        for call in list(self._calls):
            # One that was claimed, and has not begun, is about to be taken back by its caller.
            if not self._claim(call) and (call.begun or call.task is not None):
                self._finish(call, _died(call))
            elif self._calls.pop(call, _NOTHING) is not _NOTHING:
                call.refused = True  # it never began: another portal may run it
                call.ring()

    def _claim(self, call: Call) -> bool:
        """Whoever is first decides whether *call* starts on this portal. False, too, if it is not (any more) here."""
        claim = self._calls.get(call)
        try:
            if claim is not None:
                claim.pop()
                return True
        except IndexError:
            pass
        return False

    def inherit(self) -> None:
        """In a forked child: the loop and every other thread stayed with the parent."""
        _of_parent.extend(call.task for call in list(self._calls))
        self._lock = threading.RLock()
        self._inherited = True
        self.bury()

    def hand_over(self, call: Call) -> bool:
        """Register *call* and wake the loop for it; or refuse it, which leaves no trace."""
        self._calls[call] = [None]
        is_new = self._state is _State.NEW  # looked at once, and first: it may open in between, and is open to this call then
        if self.accepts:
            try:
                self._tasks.wake(self._start, call)  # type: ignore[union-attr] # set before the state is OPEN
            except RecursionError:  # which is a RuntimeError, and says nothing of the loop
                raise
            except RuntimeError:  # the loop is closed, though `serve` never ended
                self.bury()
            else:
                return True
        elif is_new:
            return True  # `serve` starts it
        return not (self._claim(call) and self._calls.pop(call, _NOTHING) is not _NOTHING)

    # On the loop's thread

    def driven_here(self) -> Call | None:
        """On the loop's thread: the call that its loop is running right now, if a task of asyncio is doing that."""
        tasks = self._tasks
        if isinstance(tasks, AsyncioTasks):
            for call in list(self._calls):
                if call.begun and tasks.is_driving(call):
                    return call
        return None

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
            self._thread = known_thread()
            self._tasks = tasks
            self._state = _State.OPEN
        for call in list(self._calls):
            self._start(call)
        if on_open is not None:
            on_open()
        try:
            await portal.sleep_until_stopped()
            self._close()
            for call in list(self._calls):
                call.portal_stops()
            await tasks.drain(self._calls, self._start, self.finish_cancelled, hard=False)
        except GeneratorExit:  # the loop was dropped, not ended: nothing can be awaited any more
            raise
        except BaseException:
            self._close()
            with CancelScope(shield=True):
                await tasks.drain(self._calls, self._start, self.finish_cancelled, hard=True)
            raise

    def _close(self) -> None:
        with self._lock:
            self._state = _State.CLOSED
            self._portal = None

    def _start(self, call: Call) -> None:
        if self._tasks is not None and self._claim(call):
            try:
                self._tasks.spawn(call)
            except BaseException as error:  # noqa: BLE001 # no task, so nobody else would tell the caller
                self._finish(call, error)
        else:
            self._turn_away(call)

    def _turn_away(self, call: Call) -> None:
        """Of a call that is here and was not claimed on this thread: by its caller, then, whom an interrupt may have kept from
        what was to follow. It would wait for ever, and so would the end of this portal.
        """
        if call.task is None and not call.begun and self._calls.pop(call, _NOTHING) is not _NOTHING:
            call.refused = True
            call.ring()

    def cancel_here(self, call: Call) -> None:
        """As `cancel`, on the loop's thread, and at once."""
        self._deliver_cancel(call)

    def _deliver_cancel(self, call: Call) -> None:
        if self._claim(call):  # an interrupt came between registration and wake-up: it never starts
            self._finish(call, CancelledError())
        elif not call.begun:
            self._turn_away(call)
        elif not call.cancel_delivered and self._tasks is not None:
            call.cancel_delivered = True
            self._tasks.cancel(call)

    async def _drive(self, call: Call) -> None:
        call.begun = True
        error: BaseException | None = None
        result: Any = None
        try:
            if call.cancel_requested and not call.cancel_delivered:
                call.cancel_delivered = True
                self._tasks.cancel_begun(call)  # type: ignore[union-attr] # spawned by it
            result = call.func(*call.args, **call.kwargs)
            if type(result) is not _COROUTINE and not isawaitable(result):
                raise not_awaitable(call.name, result)
            call.value = await result
        except GeneratorExit as raised:
            if self._tasks.is_driving(call):  # type: ignore[union-attr] # spawned by it
                error = raised
            else:  # the loop was dropped
                error = _died(call)
                raise
        except BaseException as raised:  # noqa: BLE001 # one call's SystemExit is not the portal's: it goes to its caller
            error = raised
            if is_native_cancellation(raised):
                error = _cancelled_error(raised)
        finally:
            del result
            self._finish(call, error)
            del error, call

    def finish_cancelled(self, call: Call) -> None:
        self._claim(call)  # it shall not start any more
        self._finish(call, CancelledError())

    def _finish(self, call: Call, error: BaseException | None) -> None:
        """Ring the caller: once. All that the loop's side holds is let go before, so that nothing outlives the call."""
        if self._calls.pop(call, _NOTHING) is _NOTHING:
            return
        call.error = error
        del error
        call.func = call.args = call.kwargs = call.context = call.task = call.scope = None
        call.ring()


_of_parent: list[object] = []
"""In a forked child: the tasks of the parent's loops. Dropped, they would complain, and run their `finally` blocks here."""


def _died(call: Call) -> PortalNotRunningError:
    return PortalNotRunningError(f"the portal of {call.name!r} died while the call was in flight")


def portal_is_alive(portal: BlockingPortal) -> bool:
    """Whether *portal* was not stopped and its thread runs in this process. -1 stands for an AnyIO that does not say."""
    ident = portal_thread_ident(portal)
    return ident is not None and (ident == -1 or thread_exists(ident))


def call_driven_here() -> Call | None:
    """The call whose coroutine the loop of this thread runs right now: while it blocks that loop, no cancellation arrives."""
    here = threading.get_ident()
    for ref in registry.dispatchers.valuerefs():
        dispatcher = ref()
        if isinstance(dispatcher, Dispatcher) and dispatcher.ident == here and (call := dispatcher.driven_here()) is not None:
            return call
    return None


def _cancelled_error(cancelled: BaseException) -> CancelledError:
    error = CancelledError(*cancelled.args)
    error.__cause__ = cancelled
    return error


def _forget_parent() -> None:
    inherited = [dispatcher for ref in registry.dispatchers.valuerefs() if isinstance(dispatcher := ref(), Dispatcher)]
    registry.dispatchers.clear()
    for dispatcher in inherited:
        dispatcher.inherit()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)

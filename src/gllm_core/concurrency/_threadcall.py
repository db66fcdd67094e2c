"""One asyncified call on an asyncio loop, on a worker thread of ours."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from contextvars import Context

from anyio import CancelScope
from anyio.lowlevel import EventLoopToken

from ._anyio_internals import (
    asyncio,
    cancel_scope_of_worker,
    enter_worker,
    forget_async_library,
    is_scope_cancellation,
    leave_worker,
)
from ._blocking import BlockingCall
from ._delivery import send
from ._entrance import way_into
from ._inflight import current


class Outbox:
    """Calls whose functions have returned, on their way to one loop. One wake-up takes along all that are there by then.

    No call is left lying: who adds one then tries to take `_may_wake`; if it is gone, a wake-up is on its way, which gives it
    back *before* it looks for calls. And a wake-up that its loop drops, as it was closed, delivers them all the same.
    """

    __slots__ = ("_calls", "_may_wake", "_schedule")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._schedule = way_into(loop).schedule
        self._calls: deque[ThreadCall] = deque()
        self._may_wake = [None]

    def send(self, call: ThreadCall, loop: asyncio.AbstractEventLoop) -> None:
        self._calls.append(call)
        try:
            self._may_wake.pop()
        except IndexError:  # a wake-up is on its way
            return
        if not send(self._schedule, loop.is_closed, self._deliver):  # it was closed over abandoned functions
            self._deliver(on_loop=False)

    def _deliver(self, on_loop: bool) -> None:
        self._may_wake[:] = [None]
        for _ in range(len(self._calls)):  # those that come later bring a wake-up of their own
            if on_loop:
                self._calls[0].deliver(on_loop)  # it stays where it is until that is done: see `_Delivery`
                self._calls.popleft()
            else:
                self._drop_next()

    def _drop_next(self) -> None:
        with suppress(IndexError):  # another thread was quicker
            self._calls.popleft().deliver(on_loop=False)


class ThreadCall(BlockingCall):
    """A job of ours: made on the loop, run on a worker thread, delivered on the loop.

    `_waiter` belongs to the loop's thread; `value` and `error` are written by the worker before it wakes the loop.
    """

    __slots__ = (
        "_abandoned",
        "_context",
        "_done",
        "_left",
        "_loop",
        "_outbox",
        "_released",
        "_returned",
        "_scope",
        "_token",
        "_unclaimed",
        "_waiter",
    )

    def prepare(
        self,
        loop: asyncio.AbstractEventLoop,
        token: EventLoopToken,
        scope: CancelScope,
        context: Context,
        outbox: Outbox,
    ) -> None:
        self._abandoned = self._done = self._left = self._returned = self._released = False
        self._unclaimed = [None]
        self._outbox = outbox
        self._waiter: asyncio.Future[None] | None = None
        self._loop = loop
        self._token: EventLoopToken | None = token
        self._scope = scope
        forget_async_library(context)
        self._context: Context | None = context
        self.has_token = True  # and ready for a worker thread: `leave` relies on it

    # On the worker thread

    def claim(self) -> bool:
        """Whoever is first decides: the worker thread runs the function, or the awaiter gives the token back unused."""
        try:
            self._unclaimed.pop()
        except IndexError:
            return False
        return True

    def work(self) -> None:
        if not self.claim():
            return
        enter_worker(self._token, self._scope)
        current.job = self
        self.thread_id = threading.get_ident()
        try:
            self.value = self._context.run(self.func, *self.args, **self.kwargs)  # type: ignore[union-attr] # prepared
        except BaseException as error:  # noqa: BLE001 # whatever it is belongs to the awaiter, and the thread lives on
            self.error = error
        finally:
            current.job = None
            leave_worker()
            self.func = self.args = self.kwargs = self._context = self._token = None
            self._returned = True

    def report(self) -> None:
        if self._returned:
            if self.loan is not None:  # the lender may be waiting for it, and this loop may never turn again
                self.release(None)
            elif self.turnstile is not None and not self._loop.is_running():  # nor now, and another loop may be waiting
                self._released = True
                with suppress(RuntimeError):  # the limiter tells a loop that is closed
                    self.release(None)
                self._done = True  # it may be on its way to another loop, and is not given back again
            self._outbox.send(self, self._loop)

    def refuse(self, error: RuntimeError) -> None:
        if self.claim():
            self.error = error
            self.func = self.args = self.kwargs = self._context = self._token = None
            self._returned = True
            self.report()

    # On the loop's thread

    def deliver(self, on_loop: bool) -> None:
        """Once more does no harm, and completes what an interrupt broke off."""
        loop = self._loop if on_loop else None
        if not self._released:
            self._released = True
            self.release(loop)
        elif not self._done:
            self._done = True
            self.release_if_held(loop)
        self._done = True
        if self._abandoned or not on_loop:
            self.log_lost_error()
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def leave(self, loop: object) -> None:
        """The awaiter cannot wait. If the function has not begun, it never will; else it is abandoned.

        Once more completes what was broken off.
        """
        if not self.has_token or self._left or self.claim():
            self._left = True
            self.release_if_held(loop)
        else:
            self._abandoned = True

    async def wait(self, cancellable: bool, cancels: int) -> None:
        """Wait for the function's end. Raises the cancellation that came meanwhile: at once if *cancellable*, else then.

        *cancels* is how many the task had before.
        """
        self._waiter = self._loop.create_future()
        both = False
        try:
            await self._waiter
        except asyncio.CancelledError as cancelled:
            cancel_scope_of_worker(self._scope)  # `check_cancelled` sees it now, a native cancellation too
            self.cancel()
            if cancellable:
                self._abandoned = True
                if self._done:
                    self.log_lost_error()
                raise
            # A scope cancels just once before this; both kinds at the same time arrive as one exception.
            native = not is_scope_cancellation(cancelled) or cancels_of(asyncio.current_task(self._loop)) > cancels + 1
            native = await self._wait_shielded() or native
            if self.error is not None and not native and not self.error_is_echo():
                return  # the scope cancels again at the next checkpoint, so nothing is swallowed if the error goes first
            self.log_lost_error()
            both = native and is_scope_cancellation(cancelled)
            if not both:
                raise
        except BaseException:  # the loop was closed over the awaiter; or Ctrl-C, or what a signal raises, ends its run
            self._abandoned = True
            if self._done:
                self.log_lost_error()
            raise
        finally:
            self._waiter = None
        if both:  # the scope would take its own, also where that is the context of another, for the only one
            raise asyncio.CancelledError

    async def _wait_shielded(self) -> bool:
        """Wait for the function, come what may. Returns whether a native cancellation came; scopes do not reach in here."""
        native = False
        # AnyIO delivers a scope's cancellation again on every turn of the loop, so an unshielded wait would spin.
        with CancelScope(shield=True):
            while not self._done:
                self._waiter = self._loop.create_future()
                try:
                    await self._waiter
                except asyncio.CancelledError:
                    native = True
        return native


def cancels_of(task: asyncio.Task[object] | None) -> int:
    """How often *task* was cancelled, as far as nobody has taken that back."""
    return 0 if task is None else task.cancelling()

"""What a carrier's task does on the portal's loop: it runs the steps that it is handed, one after another."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import Context, copy_context
from math import inf
from typing import Any

from anyio import CancelScope, Event, current_effective_deadline, get_cancelled_exc_class
from anyio.from_thread import BlockingPortal
from anyio.lowlevel import current_token

from ._anyio_internals import asyncio, is_cancellation, is_native_cancellation, may_be_cancelled, running_asyncio_loop
from ._call import Call, not_running
from ._chain import adopt
from ._dispatch import Dispatcher
from ._errors import PortalNotRunningError
from ._log import fields, logger
from ._loops import SHIELD_POLL_S
from ._portal import portals
from ._registry import State
from ._sources import END, AsyncScope, AsyncStream

AsyncStep = Callable[[], Awaitable[Any]]


class _Bell:
    """Heard by a thread or by a task, whichever waits. Rung twice is rung once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        self.acquire = self._lock.acquire
        self.wake: Callable[[], object] | None = None

    def release(self) -> None:
        try:  # noqa: SIM105 # once per item; suppress takes twice as long
            self._lock.release()
        except RuntimeError:  # rung already
            pass
        wake = self.wake
        if wake is not None:
            with suppress(RuntimeError):  # the loop is closed
                wake()


class Carriage(Call):
    """The carrier's coroutine, as the dispatcher sees it."""

    __slots__ = ("_carrier",)
    shown = False

    def __init__(self, carrier: StepTask, context: Context) -> None:
        super().__init__(carrier.serve, (), {}, context, carrier.name)
        self._carrier = carrier
        self.doorbell = _Bell()  # type: ignore[assignment] # rung for each reply, and for the end

    def portal_stops(self) -> None:
        self._carrier.stop()


class StepTask:
    """A task that runs the steps that it is handed, one after another, until it is told to leave.

    The consumer's thread writes `_step` and `_chain` and then wakes the task; the task writes `_value` and `_replied` and then
    rings. The outcome of the last step is that of the call: whoever sees neither a reply nor the call's end goes on waiting.
    """

    def __init__(self, name: str, portal: BlockingPortal | None, source: AsyncStream | AsyncScope) -> None:
        self.name = name
        self._wanted = portal
        self._source: AsyncStream | AsyncScope | None = source
        self._call: Carriage | None = None
        self._portal: BlockingPortal
        self._dispatcher: Dispatcher
        self._loop: asyncio.AbstractEventLoop | None
        self._schedule: Callable[..., object]
        self._step: AsyncStep | None = None
        self._chain: Context | None = None
        self._value: Any = None
        self._parked: asyncio.Future[None] | Event | None = None
        self._replied = self._stopping = self._leaving = False
        self._number: int = 0
        """Of the step that was asked for last, by a thread that waits for it."""
        self.refused_elsewhere = False
        """Whether it was a call of the source's own that raised PortalNotRunningError in the last step."""
        self.began_at = 0.0
        self.thread_id: int | None = None

    @property
    def state(self) -> State:
        return "running" if self._call is None else self._call.state

    @property
    def task(self) -> object:
        """The task on the portal, or None."""
        return None if self._call is None else self._call.task

    @property
    def portal_name(self) -> str:
        return self._dispatcher.thread_name

    # On the loop's thread

    def _begin(self) -> None:
        self._portal, self._dispatcher = portals.here(self._wanted, self.name)
        self._loop = running_asyncio_loop()
        native: Any = current_token().native_token
        self._schedule = native.run_sync_soon if self._loop is None else native.call_soon_threadsafe
        self._call = Carriage(self, copy_context())

    async def _reply_on_loop(self) -> None:
        call = self._call
        assert call is not None
        bell: Any = call.doorbell
        self._replied = False
        rung = Event()
        bell.wake = lambda: self._schedule(rung.set)
        try:
            if call.dispatcher is not None:
                self.resume()
            elif not self._hand_over(call):
                raise not_running(self.name)
            while not (self._replied or call.done):
                await rung.wait()
                rung = Event()
        except GeneratorExit:  # the loop was dropped
            raise
        except get_cancelled_exc_class():
            call.cancel()
            with CancelScope(shield=True):
                while not call.done:
                    with suppress(get_cancelled_exc_class()):  # a native one: scopes do not reach in here
                        await rung.wait()
                        rung = Event()
            if call.error is not None and not is_cancellation(call.error):
                call.take()  # as if the source had been awaited
            raise
        finally:
            bell.wake = None

    def _hand_over(self, call: Carriage) -> bool:
        call.dispatcher = self._dispatcher
        if self._dispatcher.hand_over(call):
            return True
        self._call = None
        return False

    def resume(self) -> None:
        parked = self._parked
        if isinstance(parked, Event):
            parked.set()
        elif parked is not None and not parked.done():
            parked.set_result(None)

    def cancel_step(self, number: int) -> None:
        """Cancel the step of that *number*, from any thread. If it is over when the loop hears of it, nothing is cancelled: it
        would be what comes after it, such as the close.
        """
        self._dispatcher.ask_for_end(self._cancel_step_here, number)

    def _cancel_step_here(self, number: int) -> None:
        call = self._call
        if call is None or call.done or number != self._number or self._replied:
            return
        if self._loop is not None and not may_be_cancelled(call.task):
            self._loop.call_later(SHIELD_POLL_S, self._cancel_step_here, number)
            return
        call.cancel_requested = True
        self._dispatcher.cancel_here(call)

    def stop(self) -> None:
        self._stopping = True
        self.resume()

    # In the task

    async def serve(self) -> Any:
        """Run the steps. Returns the value of the last one."""
        ahead = False
        try:
            while True:
                step, self._step = self._step, None
                if step is None:
                    if self._stopping or not self._dispatcher.accepts:
                        await self._close_source()
                    try:
                        await self._park()
                    except BaseException as cancelled:
                        # Twice without a step between is no scope of the source's own, or one that would cancel for ever.
                        if ahead or self._call.cancel_requested or not is_native_cancellation(cancelled):  # type: ignore[union-attr]
                            raise
                        ahead = await self._source.cancelled(cancelled)  # type: ignore[union-attr] # not let go of yet
                        if not ahead:
                            return END
                    continue
                ahead = False
                if self._chain is not None:
                    adopt(self._chain)
                    self._chain = None
                value = await step()
                del step
                if value is END or self._leaving:
                    return value
                if self._call.cancel_requested and self._is_cancelled_for_good():  # type: ignore[union-attr] # it runs this
                    continue  # the step did not notice; waiting for the next one does
                self._value, self._replied = value, True
                del value
                self._call.doorbell.release()  # type: ignore[union-attr] # it runs this
        except BaseException as raised:
            if is_native_cancellation(raised) and await self._source.abandon(raised):  # type: ignore[union-attr] # let go of below only
                return False  # as the verdict on what the body ends with, which the scope never sees
            raise
        finally:
            self._source = None

    def _is_cancelled_for_good(self) -> bool:
        """Whether each await from here on is cancelled, the close too. asyncio cancels one only."""
        return self._loop is None and current_effective_deadline() == -inf

    async def _close_source(self) -> None:
        """The portal stops, and the consumer has not come back."""
        stopped = not_running(self.name)
        try:
            await self._source.abandon(stopped)  # type: ignore[union-attr] # not let go of yet
        except Exception:  # noqa: BLE001 # it is logged
            logger.exception("%s raised when its portal was stopped", self.name, extra=fields("source_error", call=self.name))
        try:
            raise stopped
        finally:
            del stopped  # its traceback leads here

    async def _run_last(self, last: AsyncStep | None) -> Any:
        self._leaving = True
        try:
            return None if last is None else await last()
        except PortalNotRunningError:
            self.refused_elsewhere = True
            raise

    async def _run_unheard(self, last: AsyncStep | None) -> None:
        """Nobody waits for it."""
        try:
            await self._run_last(last)
        except BaseException as error:
            if is_native_cancellation(error):
                raise
            logger.exception(
                "%s raised after its consumer had left", self.name, extra=fields("abandoned_error", call=self.name)
            )

    async def _park(self) -> None:
        if self._loop is not None:
            self._parked = self._loop.create_future()
            await self._parked
        else:
            self._parked = Event()
            await self._parked.wait()

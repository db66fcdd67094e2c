"""One asyncified call on an asyncio loop, on a worker thread of ours."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import CancelledError as BridgeCancelledError
from contextlib import suppress
from contextvars import Context
from math import inf
from typing import Any

from anyio import CancelScope, CapacityLimiter, current_effective_deadline
from anyio.lowlevel import EventLoopToken

from ._anyio_internals import enter_worker, leave_worker
from ._inflight import Job, Loan, current

logger = logging.getLogger("gllm_core.concurrency")


class ThreadCall(Job):
    """A job of ours: made on the loop, run on a worker thread, delivered on the loop.

    `_waiter` belongs to the loop's thread; `value` and `error` are written by the worker before it wakes the loop.
    """

    __slots__ = (
        "__weakref__",
        "_context",
        "_done",
        "_limiter",
        "_loan",
        "_loop",
        "_scope",
        "_token",
        "_waiter",
        "abandoned",
        "args",
        "error",
        "func",
        "kwargs",
        "name",
        "value",
    )

    def __init__(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        name: str,
        limiter: CapacityLimiter,
        lendable: CapacityLimiter | None,
    ) -> None:
        super().__init__(lendable)
        self.func: Any = func
        self.args: Any = args
        self.kwargs: Any = kwargs
        self.name = name
        self.value: Any = None
        self.error: BaseException | None = None
        self.abandoned = False
        self._limiter = limiter
        self._loan: Loan | None = None
        self._done = False
        self._waiter: asyncio.Future[None] | None = None

    def prepare(
        self,
        loop: asyncio.AbstractEventLoop,
        token: EventLoopToken,
        scope: CancelScope,
        context: Context,
        loan: Loan | None,
    ) -> None:
        self._loop = loop
        self._token: EventLoopToken | None = token
        self._scope = scope
        self._context: Context | None = context
        self._loan = loan

    # On the worker thread

    def work(self) -> Callable[[], None]:
        enter_worker(self._token, self._scope)
        current.job = self
        try:
            self.value = self._context.run(self.func, *self.args, **self.kwargs)  # type: ignore[union-attr] # prepared
        except BaseException as error:  # noqa: BLE001 # whatever it is belongs to the awaiter, and the thread lives on
            self.error = error
        finally:
            current.job = None
            leave_worker()
            self.func = self.args = self.kwargs = self._context = self._token = None
        return self._report

    def _report(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._deliver)
        except RuntimeError:  # the loop was closed over an abandoned function: nobody waits, but the token must return
            self._deliver()

    # On the loop's thread

    def _deliver(self) -> None:
        self._done = True
        self.release()
        if self.abandoned:
            self._log_lost_error()
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def release(self) -> None:
        if self._loan is not None:
            self._loan.give_back()
        else:
            self._limiter.release_on_behalf_of(self)

    async def wait(self, cancellable: bool) -> None:
        """Wait for the function's end. Raises the cancellation that came meanwhile: at once if *cancellable*, else then."""
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        except asyncio.CancelledError:
            self._scope.cancel()  # `check_cancelled` sees it now, a native cancellation too
            self.cancel()
            if cancellable:
                self.abandoned = True
                if self._done:
                    self._log_lost_error()
                raise
            await self._wait_shielded()
            if self.error is not None and current_effective_deadline() == -inf and not self._error_is_echo():
                return  # the scope cancels again at the next checkpoint, so nothing is swallowed if the error goes first
            self._log_lost_error()
            raise
        finally:
            self._waiter = None

    async def _wait_shielded(self) -> None:
        # AnyIO delivers a scope's cancellation again on every turn of the loop, so an unshielded wait would spin.
        with CancelScope(shield=True):
            while not self._done:
                self._waiter = self._loop.create_future()
                with suppress(asyncio.CancelledError):  # a native one again; the first is raised at the end
                    await self._waiter

    def take(self) -> Any:
        """The value; or the error is raised, as the same object, its chain untouched, and no reference kept."""
        error = self.error
        if error is None:
            value, self.value = self.value, None
            return value
        self.error = None
        if isinstance(error, StopIteration):
            raise stop_iteration_error(self.name, error) from error
        context = error.__context__
        try:
            raise error
        finally:
            error.__context__ = context
            del error, context, self

    def _error_is_echo(self) -> bool:
        """Whether the function ended just because the cancellation reached it."""
        return isinstance(self.error, (BridgeCancelledError, asyncio.CancelledError))

    def _log_lost_error(self) -> None:
        error, self.error, self.value = self.error, None, None
        if error is not None and not isinstance(error, (BridgeCancelledError, asyncio.CancelledError)):
            logger.error("%s raised after its awaiter was cancelled", self.name, exc_info=error)


def stop_iteration_error(name: str, error: StopIteration) -> RuntimeError:
    return RuntimeError(f"{name!r} raised StopIteration, which a coroutine cannot raise")

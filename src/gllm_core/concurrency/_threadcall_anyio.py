"""One asyncified call on a thread of AnyIO's: on trio, and where our own threads cannot serve `anyio.from_thread`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from math import inf
from typing import Any

from anyio import CapacityLimiter, create_task_group, sleep_forever, to_thread
from anyio.lowlevel import checkpoint_if_cancelled

from ._anyio_internals import is_cancellation
from ._blocking import BlockingCall
from ._delivery import Home, home_here
from ._inflight import current
from ._registry import registry
from ._tokens import wait_for_token
from ._turnstile import Turnstile, take_free_token


class AnyioThreadCall(BlockingCall):
    """Whoever claims the call first decides: the worker thread runs it, or the awaiter gives the token back unused.

    Invariant: an error of an abandoned function is logged, in whatever order the two happen: the worker stores the outcome
    and then looks at `_abandoned`, the awaiter sets `_abandoned` and then looks at the outcome; `_unlogged` is popped once.
    """

    __slots__ = ("_abandoned", "_home", "_returned", "_unclaimed", "_unlogged")

    def start(self, home: Home) -> None:
        self._home = home
        self._unclaimed = [None]
        self._unlogged: list[None] = []
        self._returned = self._abandoned = False
        self.has_token = True

    async def run(self, cancellable: bool) -> None:
        try:
            await self._run_on_thread(cancellable)
            await checkpoint_if_cancelled()
        except BaseException as error:
            if self._claim():
                self.release(self._home.loop)
                raise
            if not cancellable and is_cancellation(error) and self.error is not None and not self.error_is_echo():
                return  # the scope cancels again at the next checkpoint, so nothing is swallowed if the error goes first
            self._abandoned = True
            self._log_if_lost()
            raise

    async def _run_on_thread(self, cancellable: bool) -> None:
        try:
            async with create_task_group() as group:
                group.start_soon(self._watch)
                # The token is ours to manage: AnyIO would not know of loans.
                await to_thread.run_sync(self._work, abandon_on_cancel=cancellable, limiter=CapacityLimiter(inf))
                group.cancel_scope.cancel()
        except BaseExceptionGroup as group_error:  # no thread could be started, or Ctrl-C
            if len(group_error.exceptions) == 1:
                raise group_error.exceptions[0] from None
            raise

    async def _watch(self) -> None:
        """Tell the function's own calls when the awaiter is cancelled, also where that waits for the function."""
        try:
            await sleep_forever()
        finally:
            if not self._returned:
                self.cancel()

    def _claim(self) -> bool:
        try:
            self._unclaimed.pop()
        except IndexError:
            return False
        return True

    # On the worker thread

    def _work(self) -> None:
        if not self._claim():
            return
        current.job = self
        self.thread_id = threading.get_ident()
        try:
            self.value = self.func(*self.args, **self.kwargs)
        except BaseException as error:  # noqa: BLE001 # whatever it is belongs to the awaiter, and the thread lives on
            self.error = error
        finally:
            current.job = None
            self.func = self.args = self.kwargs = None
        self._returned = True
        self._unlogged.append(None)
        if self._abandoned:
            self._log_if_lost()
        if self.loan is not None:  # the lender may be waiting for it
            self.release(None)
            return
        try:
            self._home.schedule(self.release, self._home.loop)
        except RuntimeError:  # the loop is gone
            self.release(None)

    def _log_if_lost(self) -> None:
        try:
            self._unlogged.pop()
        except IndexError:
            return
        self.log_lost_error()


async def call_through_anyio(
    func: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    name: str,
    cancellable: bool,
    turnstile: Turnstile | None,
) -> Any:
    await checkpoint_if_cancelled()
    limiter = to_thread.current_default_thread_limiter() if turnstile is None else turnstile.limiter
    call = AnyioThreadCall(func, args, kwargs, name, limiter, turnstile)
    del args, kwargs
    home = home_here()
    registry.when_used()
    registry.blocking[call] = None
    try:
        if turnstile is None:
            if not take_free_token(limiter, call):
                call.loan = await wait_for_token(limiter, call)
        elif not turnstile.try_acquire(call):
            await turnstile.acquire(call, home)
    except BaseException:
        registry.blocking.pop(call, None)
        raise
    try:
        call.start(home)
        await call.run(cancellable)
        return call.take()
    finally:
        del call

"""One worker thread that carries a whole stream or scope, as its consumer on an event loop sees it."""

from __future__ import annotations

import os
import time
from math import inf

from anyio import CancelScope, get_cancelled_exc_class
from anyio.lowlevel import checkpoint, current_token

from ._anyio_internals import asyncio, cancel_scope_of_worker, is_native_cancellation, is_scope_cancellation, loop_runs_here
from ._carrier_thread_steps import Step as Step
from ._carrier_thread_steps import StepThread
from ._registry import registry
from ._threadcall import cancels_of
from ._tokens import wait_for_token
from ._turnstile import take_free_token


class CarrierThread(StepThread):
    """Asks for one step after another, and waits for each, whatever cancels the consumer."""

    __slots__ = ()

    async def run(self, step: Step) -> None:
        """Run *step* on the thread. Raises its error; `take` has its value.

        **Cancellation:** ends the wait for a token at once. Once the step runs, the awaiter stays until it is over, as in an
        asyncified function; what it syncifies is cancelled.
        """
        self._refuse_if_inherited()
        task = None if self._loop is None else asyncio.current_task(self._loop)
        cancels = cancels_of(task)
        try:
            if self._deadline() == -inf or cancels:
                await checkpoint()  # cancelled already: the step is not begun
            self.began_at = time.monotonic()
            registry.blocking[self] = None
            if not self.has_token:
                await self._acquire()
            self._replied = False
            self._put(step)
            del step
            await self._wait(cancels, last=False)
        except BaseException as error:  # perhaps without a loop
            if is_native_cancellation(error):
                self._cancelled_natively = self._loop is not None and not is_scope_cancellation(error)
            raise
        finally:
            registry.blocking.pop(self, None)
        if self.error is not None:
            self.take()

    async def leave(self, last: Step | None) -> None:
        """Run *last*, after which thread and token are free. Raises its error; `take` has its value.

        **Cancellation:** one that came before does not reach into *last*; a later one cancels what it syncifies, and is raised
        when it is over.
        """
        if self.over or self._steps is None:
            return
        self._refuse_if_inherited()
        if self._abandoned or not self._loop_runs_here():  # in a dropped loop, or none: nothing can be awaited any more
            self.dismiss(last)
            return
        cancels = cancels_of(None if self._loop is None else asyncio.current_task(self._loop))
        self.began_at = time.monotonic()
        registry.blocking[self] = None
        try:
            with CancelScope(shield=self._deadline() == -inf):
                try:
                    if not self.has_token:
                        await self._acquire()
                finally:
                    self.value = self.error = None
                    if self.awaiter_cancelled:
                        self.awaiter_cancelled = False
                        self._scope = CancelScope()
                    self._put_last(last)
                del last
                await self._wait(cancels, last=True)
        finally:
            registry.blocking.pop(self, None)
        if self._cancelled_natively:  # which would not come again, as a scope's does, if the error went first
            self.log_lost_error()
        elif self.error is not None:
            self.take()

    def dismiss(self, last: Step | None) -> None:
        """As `leave`, but nobody waits. From any thread."""
        self._abandoned = True
        self._put_last(last)

    def _put_last(self, last: Step | None) -> None:
        if self.over or self.inherited:
            return
        if self._steps is not None:
            self._steps.put(lambda: self._run_last(last))
        elif self.has_token:  # an interrupt came before the first step
            self.release_if_held(None)

    @property
    def inherited(self) -> bool:
        """Whether this process was forked off in mid-stream. The thread stayed with the parent."""
        return self._process != os.getpid()

    def _refuse_if_inherited(self) -> None:
        if self.inherited:
            raise RuntimeError(f"{self.name!r} was begun in the parent process, and its thread stayed there; begin it anew")

    async def _acquire(self) -> None:
        try:
            if self.turnstile is None:
                if not take_free_token(self.limiter, self):
                    self.loan = await wait_for_token(self.limiter, self)
            elif not self.turnstile.try_acquire(self):
                await self.turnstile.acquire(self, self._home)
        except BaseException:  # an interrupt may come when it has the token
            self.release_if_held(self._home.loop)
            raise
        self.has_token = True

    async def _wait(self, cancels: int, *, last: bool) -> None:
        """Wait for the reply, or for the *last* one. Raises the cancellation that came meanwhile, then.

        *cancels* is how many the task had before. The rules are those of `ThreadCall.wait`.
        """
        both = False
        try:
            while not (self.over if last else self._replied):
                await self._next_reply()
        except GeneratorExit:  # the loop was closed over the awaiter, or its coroutine
            self._abandoned = True
            if self.over:
                self.log_lost_error()
            raise
        except get_cancelled_exc_class() as cancelled:
            cancel_scope_of_worker(self._scope)
            self.cancel()
            by_scope = self._loop is None or is_scope_cancellation(cancelled)
            # A scope cancels just once before this; both kinds at the same time arrive as one exception.
            native = not by_scope or (self._loop is not None and cancels_of(asyncio.current_task(self._loop)) > cancels + 1)
            native = await self._stay(last) or native
            if self.error is not None and not native and not self.error_is_echo():
                return  # the scope cancels again at the next checkpoint, so nothing is swallowed if the error goes first
            self.log_lost_error()
            both = native and by_scope
            if not both:
                raise
        finally:
            self._waiter = None
        if both:
            raise asyncio.CancelledError

    async def _stay(self, last: bool) -> bool:
        """Wait for the reply, come what may. Returns whether a native cancellation came; scopes do not reach in here."""
        native = False
        with CancelScope(shield=True):
            while not (self.over if last else self._replied):
                try:
                    await self._next_reply()
                except BaseException as error:
                    if not is_native_cancellation(error):
                        raise
                    native = True
                    self.cancel()
        return native

    def _loop_runs_here(self) -> bool:
        return loop_runs_here() and current_token() == self._token

"""What a carrier's worker thread does: it runs the steps that it is handed, one after another, below one token."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from math import inf
from typing import Any

from anyio import CancelScope, CapacityLimiter, Event, to_thread
from anyio.lowlevel import current_token

from . import _workers
from ._anyio_internals import (
    HAS_WORKER_THREADLOCALS,
    asyncio,
    enter_worker,
    forget_async_library,
    leave_worker,
    running_asyncio_loop,
    start_ownerless_task,
)
from ._blocking import BlockingCall
from ._delivery import Home
from ._entrance import way_into
from ._inflight import current
from ._sources import END
from ._turnstile import Turnstile

Step = Callable[[], Any]


class _Steps:
    """Steps on their way to the thread: put from anywhere, in a `__del__` too, as no lock is held; taken by one thread."""

    __slots__ = ("_bell", "_steps")

    def __init__(self) -> None:
        self._steps: deque[Step] = deque()
        self._bell = threading.Lock()
        self._bell.acquire()

    def put(self, step: Step) -> None:
        self._steps.append(step)
        try:  # noqa: SIM105 # once per item; suppress takes twice as long
            self._bell.release()
        except RuntimeError:  # rung already, and not heard yet
            pass

    def get(self) -> Step:
        while True:
            try:
                return self._steps.popleft()
            except IndexError:
                self._bell.acquire()


class StepThread(BlockingCall):
    """A worker thread that runs the steps that it is handed, one after another, until it is told to leave.

    Made on the event loop. The thread takes steps out of `_steps`; `value` and `error` are its own from when a step was put
    there until the reply has woken the loop. `_waiter`, `_replied` and `over` belong to the loop's thread. `dismiss` alone may
    be called from anywhere, in a `__del__` too.

    A token is held from the first step to the last; but a loan, which its lender needs back when its own call is over, is
    held for one step at a time.
    """

    __slots__ = (
        "_abandoned",
        "_cancelled_natively",
        "_context",
        "_deadline",
        "_home",
        "_leaving",
        "_loop",
        "_process",
        "_replied",
        "_scope",
        "_steps",
        "_token",
        "_unclaimed",
        "_waiter",
        "over",
    )

    def __init__(self, name: str, turnstile: Turnstile | None) -> None:
        limiter = to_thread.current_default_thread_limiter() if turnstile is None else turnstile.limiter
        super().__init__(None, (), {}, name, limiter, turnstile)  # type: ignore[arg-type] # no one function: steps
        self._loop = running_asyncio_loop()
        self._token = current_token()
        self._deadline = self._token.backend_class.current_effective_deadline
        native: Any = self._token.native_token
        self._home = Home(native, native.run_sync_soon if self._loop is None else way_into(self._loop).schedule)
        self._scope = CancelScope()
        self._process = os.getpid()
        self._steps: _Steps | None = None
        self._context: Context | None = None
        self._waiter: asyncio.Future[None] | Event | None = None
        self._unclaimed = [None]
        self._replied = self._abandoned = self._leaving = self._cancelled_natively = False
        self.over = False
        """Whether the last step was run, and thread and token are free."""

    # On the loop's thread

    def _put(self, step: Step) -> None:
        if self._steps is not None:
            self._steps.put(step)
            return
        try:
            self._context = copy_context()
            forget_async_library(self._context)
            self._steps = _Steps()
            self._steps.put(step)
            if self._loop is not None and HAS_WORKER_THREADLOCALS:
                _workers.start(self)
            else:
                start_ownerless_task(self._carry, self.name)
        except BaseException:
            self._deliver(True)
            raise

    async def _carry(self) -> None:
        """On a thread of AnyIO's: `check_cancelled` looks at this task. The thread is told to leave; it is not waited for."""
        try:
            with self._scope:
                await to_thread.run_sync(self._work_for_anyio, abandon_on_cancel=True, limiter=CapacityLimiter(inf))
        except BaseException as error:  # noqa: BLE001 # no thread could be started: the awaiter's error, not the loop's
            self.error = error
        if self._claim():
            self._deliver(True)

    def _claim(self) -> bool:
        try:
            self._unclaimed.pop()
        except IndexError:
            return False
        return True

    async def _next_reply(self) -> None:
        if self._loop is not None:
            self._waiter = self._loop.create_future()
            await self._waiter
        else:
            self._waiter = Event()
            await self._waiter.wait()

    def _deliver(self, last: bool, on_loop: bool = True) -> None:
        self._replied = True
        if last:
            self.over = True
            self._context = None
        if self.loan is not None:
            loan, self.loan = self.loan, None
            self.has_token = False
            loan.give_back()
        elif last and self.has_token:
            self.release_if_held(self._home.loop if on_loop else None)
            self.has_token = False
        if last and (self._abandoned or not on_loop):
            self.log_lost_error()
        if not on_loop:  # let go of the awaiter, so that the stream is dropped, and closed, as soon as its task is
            self._waiter = None
            return
        if isinstance(self._waiter, Event):
            self._waiter.set()
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # On the worker thread

    def work(self) -> None:
        enter_worker(self._token, self._scope)
        try:
            self._context.run(self._serve)  # type: ignore[union-attr] # set before the thread was started
        finally:
            leave_worker()

    def report(self) -> None:
        self._report(last=True)

    def refuse(self, error: RuntimeError) -> None:
        self.error = error
        self._report(last=True)

    def _work_for_anyio(self) -> None:
        if self._claim():
            self._context.run(self._serve)  # type: ignore[union-attr] # set before the thread was started
            self.report()

    def _serve(self) -> None:
        current.job = self
        self.thread_id = threading.get_ident()
        steps: _Steps = self._steps  # type: ignore[assignment] # set before the thread was started
        try:
            while True:
                step = steps.get()
                try:
                    self.value = step()
                except BaseException as error:  # noqa: BLE001 # whatever it is belongs to the awaiter, and the thread lives on
                    self.error = error
                # The step is kept until the next one comes, and the source with it: else a collection could close it elsewhere.
                if self.error is not None or self.value is END or self._leaving:
                    return
                self._report(last=False)
        finally:
            current.job = None

    def _run_last(self, last: Step | None) -> Any:
        self._leaving = True
        if self._loop is not None and HAS_WORKER_THREADLOCALS:
            enter_worker(self._token, self._scope)  # a new one, if what came before was cancelled
        return None if last is None else last()

    def _report(self, *, last: bool) -> None:
        def reply(on_loop: bool) -> None:
            self._deliver(last, on_loop)

        if not self._home.send(reply):  # nobody waits, but the token must return
            reply(on_loop=False)

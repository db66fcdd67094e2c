"""One task on a portal's loop that carries a whole stream or scope, as its consumer sees it, from any thread."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from ._anyio_internals import is_cancellation, loop_runs_here
from ._call import not_running
from ._carrier_task_steps import AsyncStep as AsyncStep
from ._carrier_task_steps import Carriage, StepTask
from ._chain import chains
from ._errors import PortalNotRunningError
from ._inflight import Job, Loan, current, loans
from ._outcome import set_context
from ._registry import registry
from ._syncify import syncify


class _StepInFlight:
    """What a job cancels of a stream or scope: the step that its function waits for, and no later one."""

    __slots__ = ("_carrier", "_number")

    def __init__(self, carrier: StepTask, number: int) -> None:
        self._carrier = carrier
        self._number = number

    def cancel(self) -> None:
        self._carrier.cancel_step(self._number)


class CarrierTask(StepTask):
    """Asks for one step after another, and waits for each."""

    def ask(self, step: AsyncStep, *, last: bool = False) -> Any:
        """Run *step* in the task, and return its value or raise its error.

        What interrupts the wait ends the stream or scope, whose end is waited for.
        """
        call = self._call
        self._number += 1  # before it can be under way
        if call is None or loop_runs_here() or chains.lead_here():
            self._ask_through_syncify(step, last=last)
        elif call.done:
            return call.take()  # the error that ended it between two steps, as its portal stopped or died
        else:
            job = current.job
            self._replied = False
            if job is None or (last and job.awaiter_cancelled):  # leaving is not cancelled by what came before
                self._ask_directly(call, step)
            else:
                self._ask_below(job, call, step)
        del step
        return self._take()

    def leave(self, last: AsyncStep, *, scope: bool = False, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> Any:
        """Run *last* in the task, which then ends. If it was ended from inside before, what did that is raised: an error, such
        as that of a child; or, of a *scope*, its cancellation.
        """
        call = self._call
        if call is None:
            return None
        if is_finalizing():
            raise not_running(self.name)
        if call.done:
            error = call.error
            gone = error is None or is_cancellation(error) or issubclass(type(error), PortalNotRunningError)
            if gone and not (scope and self._dispatcher.accepts):
                raise not_running(self.name)
            return call.take()
        try:
            return self.ask(lambda: self._run_last(last), last=True)
        except BaseException:
            if not call.done:  # a warning that is an error, or a wait that would never end: it runs all the same
                self.dismiss(last)
            raise

    def dismiss(self, last: AsyncStep | None) -> None:
        """As `leave`, but nobody waits. From any thread."""
        if self._call is not None and not self._call.done:
            self._put(lambda: self._run_unheard(last))

    @property
    def must_not_wait(self) -> bool:
        """Whether the task's loop runs on this very thread, or cannot turn before this one goes on."""
        return self._call is not None and chains.hold_up(self._dispatcher.ident)

    def _put(self, step: AsyncStep) -> None:
        self._step = step
        try:
            self._dispatcher.wake(StepTask.resume, self)
        except RecursionError:  # which is a RuntimeError, and says nothing of the loop
            raise
        except RuntimeError:  # the loop is closed
            self._dispatcher.bury()

    def _ask_below(self, job: Job, call: Carriage, step: AsyncStep) -> None:
        """Below an asyncified function: its awaiter's cancellation reaches in here, and its token is lent."""
        loan: Loan | None = None
        if job.lendable is not None:
            loan = Loan(job.lendable, loans.get())
            self._chain = copy_context()
            self._chain.run(loans.set, loan)
        ours = _StepInFlight(self, self._number)
        try:
            job.attach(ours)
            self._ask_directly(call, step)
        finally:
            job.detach(ours)
            if loan is not None:
                loan.close()

    def _ask_directly(self, call: Carriage, step: AsyncStep) -> None:
        self.began_at, self.thread_id = time.monotonic(), threading.get_ident()
        if self.thread_id == self._dispatcher.ident:
            self._dispatcher.refuse_own_thread(self.name)
        registry.steps[self] = None
        try:
            self._put(step)
            del step
            while not (self._replied or call.done):
                call.wait(self._dispatcher)
        except BaseException as interrupt:
            call.cancel()
            while not call.done:
                call.wait(self._dispatcher)
            if call.error is not None and not is_cancellation(call.error):
                set_context(interrupt, call.error)
            call.error = None
            raise
        finally:
            registry.steps.pop(self, None)

    def _ask_through_syncify(self, step: AsyncStep, *, last: bool) -> None:
        """The first step, and those from a thread that blocks a loop: all that a syncified call knows applies."""

        async def ask_on_loop() -> None:
            nonlocal step
            if self._call is None:
                self._begin()
            elif self._dispatcher.ident != threading.get_ident():
                raise RuntimeError(
                    f"{self.name!r} would wait for ever: it runs on the loop that waits for it. Use it directly instead"
                )
            self._chain = copy_context()
            self._step, step = step, None  # type: ignore[assignment] # nothing is kept
            await self._reply_on_loop()

        ask_on_loop.__qualname__ = self.name
        ask = syncify(ask_on_loop, portal=self._wanted if self._call is None else self._portal)
        job = current.job
        if job is None or not (last and job.awaiter_cancelled):
            ask()
            return
        current.job = Job(job.lendable)  # leaving is not cancelled by what came before
        try:
            ask()
        finally:
            current.job = job

    def _take(self) -> Any:
        if self._replied:
            value, self._value = self._value, None
            return value
        assert self._call is not None
        return self._call.take()

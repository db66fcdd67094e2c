"""What goes to a loop that may be closed over it: deliveries, and loans of tokens on their way."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from typing import Any

import anyio
import anyio.lowlevel

from gllm_core.concurrency.testing.explore import calm

from .model import run_on, scenario, together


@scenario("_delivery", preemptions=3, quick=True)
def delivery_against_close() -> None:
    """Something is sent to a loop that is being closed: it acts once, or is refused without a trace."""
    from gllm_core.concurrency import _delivery

    with calm():
        loop = asyncio.new_event_loop()
    acts: list[bool] = []
    sent: list[bool] = []

    def send() -> None:
        sent.append(_delivery.send(loop.call_soon_threadsafe, loop.is_closed, acts.append))

    together(send, lambda: run_on(loop, anyio.lowlevel.checkpoint))
    loop = None  # whoever drops a delivery last, it acts
    assert len(acts) == sent[0], (acts, sent)


@scenario("_delivery", "asyncio.base_events", preemptions=2)
def delivery_within_close() -> None:
    """The same in the midst of asyncio's own steps, on a loop that somebody keeps: what lies there, nobody calls."""
    from gllm_core.concurrency import _delivery

    with calm():
        loop = asyncio.new_event_loop()
    acts: list[bool] = []
    sent: list[bool] = []

    def send() -> None:
        sent.append(_delivery.send(loop.call_soon_threadsafe, loop.is_closed, acts.append))

    together(send, loop.close)
    assert len(acts) == sent[0], (acts, sent)
    assert loop.is_closed()


@scenario("_delivery", preemptions=2, quick=True)
def delivery_that_fails() -> None:
    """What is sent raises on its loop each time, and the loop may be closed meanwhile: it is tried, and then given up."""
    from gllm_core.concurrency import _delivery

    async def main() -> None:
        for _ in range(2 * _delivery.TRIES):
            await anyio.lowlevel.checkpoint()

    def act(on_loop: bool) -> None:
        tries.append(on_loop or bool(closing))  # else it is an end on nobody's thread, with the loop there
        if on_loop:
            raise ValueError

    def run() -> None:
        loop.run_until_complete(main())
        closing.append(True)
        loop.close()

    tries: list[bool] = []
    closing: list[bool] = []
    with calm():
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda *_: None)
    together(lambda: _delivery.send(loop.call_soon_threadsafe, loop.is_closed, act), run)
    with calm():
        gc.collect()  # which is off in an exploration: what the errors' tracebacks kept is dropped
    assert all(tries), tries
    assert len(tries) <= _delivery.TRIES, tries


@scenario("_threadcall", "_delivery", actors=3, quick=True)
def two_answers_against_close() -> None:
    """Two functions return while their loop is being closed: each answer is delivered once, with the loop or without."""
    from gllm_core.concurrency._threadcall import Outbox

    class Answer:
        def __init__(self) -> None:
            self.times = 0

        def deliver(self, on_loop: bool) -> None:
            self.times += 1

    with calm():
        loop = asyncio.new_event_loop()
        outbox = Outbox(loop)
    answers: Any = Answer(), Answer()
    senders = (lambda answer=answer: outbox.send(answer, loop) for answer in answers)
    together(*senders, lambda: run_on(loop, anyio.lowlevel.checkpoint))
    loop = None  # whoever drops a delivery last, it acts
    assert [answer.times for answer in answers] == [1, 1]


@scenario("_inflight", actors=3)
def loan_between_three() -> None:
    """Two borrowers and the lender who wants it back: one at a time, and none when the lender goes on."""
    from gllm_core.concurrency._inflight import Loan

    with calm():
        loan = Loan(None, None)  # type: ignore[arg-type]
    using: list[int] = []

    def use() -> None:
        using.append(1)
        time.sleep(0.001)  # whoever else may run does
        assert len(using) == 1
        using.pop()
        loan.give_back()

    def borrow() -> None:
        granted = threading.Event()
        if loan.borrow(granted.set) or granted.wait(1):
            use()

    def close() -> None:
        loan.close()
        assert not using

    together(borrow, borrow, close)
    assert not loan._borrowed


@scenario("_inflight", "_tokens", "_delivery", preemptions=2, quick=True)
def loan_against_a_closing_loop() -> None:
    """A loan is given back while the loop of the one who waits for it is being closed: the lender has it back."""
    from gllm_core.concurrency import _inflight, _tokens

    async def wait() -> None:
        limiter = anyio.CapacityLimiter(1)
        await limiter.acquire()
        loan.limiter = limiter
        _inflight.loans.set(loan)
        await _tokens.wait_for_token(limiter, object())

    with calm():
        loan = _inflight.Loan(None, None)  # type: ignore[arg-type]
        assert loan.borrow(bool)
        loop = asyncio.new_event_loop()
        waiter = loop.create_task(wait())
        loop.run_until_complete(anyio.sleep(0.001))
        waiter._log_destroy_pending = False  # type: ignore[attr-defined]
    together(loan.give_back, loop.close)
    del waiter
    loan.close()


async def _wait_for_either(loan: Any, limiter: Any, me: object) -> Any:
    """Wait for a loan that is in use, and for the one token of *limiter*, which is released meanwhile."""
    from gllm_core.concurrency import _inflight, _tokens

    owner = object()
    await limiter.acquire_on_behalf_of(owner)
    loan.limiter = limiter
    _inflight.loans.set(loan)
    asyncio.get_running_loop().call_soon(limiter.release_on_behalf_of, owner)
    return await _tokens.wait_for_token(limiter, me)


@scenario("_inflight", "_tokens", "_delivery", preemptions=2, quick=True)
def token_against_loan() -> None:
    """A token and a loan come at once for one who waits for either: it has one of them, and the other is free."""
    from gllm_core.concurrency import _inflight

    async def wait() -> None:
        limiter, me = anyio.CapacityLimiter(1), object()
        mine = await _wait_for_either(loan, limiter, me)
        assert (me in limiter.statistics().borrowers) == (mine is None)
        if mine is not None:
            mine.give_back()
        else:
            limiter.release_on_behalf_of(me)

    with calm():
        loan = _inflight.Loan(None, None)  # type: ignore[arg-type]
        assert loan.borrow(bool)
        loop = asyncio.new_event_loop()
    together(loan.give_back, lambda: run_on(loop, wait))
    loan.close()


@scenario("_inflight", "_tokens", "_delivery", preemptions=2, quick=True)
def loan_as_its_task_leaves() -> None:
    """A thread is about to grant a loan to a task that has a token meanwhile, on a loop that turns on: the loan comes back."""
    from gllm_core.concurrency import _inflight

    async def wait() -> None:
        mine = await _wait_for_either(loan, anyio.CapacityLimiter(1), object())
        if mine is not None:
            mine.give_back()
        await anyio.sleep(1)  # virtual: the news of a grant arrives

    with calm():
        loan = _inflight.Loan(None, None)  # type: ignore[arg-type]
        assert loan.borrow(bool)
    together(loan.give_back, lambda: anyio.run(wait))
    assert not loan._borrowed


@scenario("_inflight", preemptions=3, quick=True)
def cancellation_against_a_call_below() -> None:
    """A function's awaiter is cancelled as the function begins a call: the call hears of it."""
    from gllm_core.concurrency._inflight import Job

    class Call:
        cancelled = False

        def cancel(self) -> None:
            self.cancelled = True

    job, call = Job(None), Call()
    together(lambda: job.attach(call), job.cancel)
    assert call.cancelled

"""What goes to a loop that may be closed over it, and tokens on their way: deliveries, turnstiles, loans."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel

from gllm_core.concurrency.testing.explore import calm

from .model import scenario, together


def _run(loop: asyncio.AbstractEventLoop, main: Callable[[], Any]) -> None:
    """As `asyncio.run`, on a loop that others know already."""
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()


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

    together(send, lambda: _run(loop, anyio.lowlevel.checkpoint))
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
    together(*senders, lambda: _run(loop, anyio.lowlevel.checkpoint))
    loop = None  # whoever drops a delivery last, it acts
    assert [answer.times for answer in answers] == [1, 1]


def _turnstile(waiters: int) -> tuple[Any, Any, list[Any]]:
    """A turnstile whose one token is borrowed, its borrower, and so many jobs that will wait."""
    from gllm_core.concurrency._inflight import Job
    from gllm_core.concurrency._turnstile import turnstile_of

    async def make() -> anyio.CapacityLimiter:
        return anyio.CapacityLimiter(1)

    turnstile = turnstile_of(anyio.run(make))
    borrower, *jobs = [Job(None) for _ in range(1 + waiters)]
    assert turnstile.try_acquire(borrower)
    return turnstile, borrower, jobs


async def _pass(turnstile: Any, job: Any) -> None:
    from gllm_core.concurrency._delivery import home_here

    if not turnstile.try_acquire(job):
        await turnstile.acquire(job, home_here())
    assert turnstile.limiter.borrowed_tokens == 1
    turnstile.release(job, asyncio.get_running_loop())


@scenario("_turnstile", preemptions=2, quick=True)
def release_against_a_waiter() -> None:
    """A token is released on one thread as a task on another loop comes to wait for it."""
    with calm():
        turnstile, borrower, (job,) = _turnstile(1)
        loop = asyncio.new_event_loop()
    together(lambda: turnstile.release(borrower, None), lambda: _run(loop, lambda: _pass(turnstile, job)))
    assert turnstile.limiter.borrowed_tokens == 0
    assert not turnstile._queue


@scenario("_turnstile", "_delivery", preemptions=2, quick=True)
def release_against_a_closing_loop() -> None:
    """A token is released to a waiter whose loop is closed over it: no token is lost, and nobody is left in the queue."""
    with calm():
        turnstile, borrower, (job, later) = _turnstile(2)
        loop = asyncio.new_event_loop()
        waiter = loop.create_task(_pass(turnstile, job))
        loop.run_until_complete(anyio.sleep(0.001))
        waiter._log_destroy_pending = False  # type: ignore[attr-defined]
    together(lambda: turnstile.release(borrower, None), loop.close)
    del waiter
    anyio.run(_pass, turnstile, later)
    assert turnstile.limiter.borrowed_tokens == 0


@scenario("_turnstile", actors=3)
def two_loops_wait_for_one_token() -> None:
    """Two loops wait for the token that a third thread releases: each has it once."""
    with calm():
        turnstile, borrower, jobs = _turnstile(2)
        loops = [asyncio.new_event_loop() for _ in jobs]
    together(
        *(lambda loop=loop, job=job: _run(loop, lambda: _pass(turnstile, job)) for loop, job in zip(loops, jobs, strict=True)),
        lambda: turnstile.release(borrower, None),
    )
    assert turnstile.limiter.borrowed_tokens == 0
    assert not turnstile._queue


@scenario("_turnstile", preemptions=2, quick=True)
def release_against_a_cancelled_waiter() -> None:
    """The wait for a token is cancelled as the token comes: the token is free afterwards."""

    async def wait() -> None:
        with anyio.CancelScope() as scope:
            asyncio.get_running_loop().call_soon(scope.cancel)
            await _pass(turnstile, job)

    with calm():
        turnstile, borrower, (job,) = _turnstile(1)
        loop = asyncio.new_event_loop()
    together(lambda: turnstile.release(borrower, None), lambda: _run(loop, wait))
    assert turnstile.limiter.borrowed_tokens == 0
    assert not turnstile._queue


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


@scenario("_inflight", "_tokens", "_delivery", preemptions=2, quick=True)
def token_against_loan() -> None:
    """A token and a loan come at once for one who waits for either: it has one of them, and the other is free."""
    from gllm_core.concurrency import _inflight, _tokens

    async def wait() -> None:
        limiter = anyio.CapacityLimiter(1)
        owner, me = object(), object()
        await limiter.acquire_on_behalf_of(owner)
        loan.limiter = limiter
        _inflight.loans.set(loan)
        asyncio.get_running_loop().call_soon(limiter.release_on_behalf_of, owner)
        mine = await _tokens.wait_for_token(limiter, me)
        assert (me in limiter.statistics().borrowers) == (mine is None)
        if mine is not None:
            mine.give_back()
        else:
            limiter.release_on_behalf_of(me)

    with calm():
        loan = _inflight.Loan(None, None)  # type: ignore[arg-type]
        assert loan.borrow(bool)
        loop = asyncio.new_event_loop()
    together(loan.give_back, lambda: _run(loop, wait))
    loan.close()


@scenario("_inflight", "_tokens", "_delivery", preemptions=2, quick=True)
def loan_as_its_task_leaves() -> None:
    """A thread is about to grant a loan to a task that has a token meanwhile, on a loop that turns on: the loan comes back."""
    from gllm_core.concurrency import _inflight, _tokens

    async def wait() -> None:
        limiter = anyio.CapacityLimiter(1)
        owner, me = object(), object()
        await limiter.acquire_on_behalf_of(owner)
        loan.limiter = limiter
        _inflight.loans.set(loan)
        asyncio.get_running_loop().call_soon(limiter.release_on_behalf_of, owner)
        mine = await _tokens.wait_for_token(limiter, me)
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

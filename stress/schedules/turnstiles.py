"""Tokens of a limiter that several loops share: releases, waiters, loops that are closed over them."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio

from gllm_core.concurrency.testing.explore import calm

from .model import run_on, scenario, together


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
    together(lambda: turnstile.release(borrower, None), lambda: run_on(loop, lambda: _pass(turnstile, job)))
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
        *(
            lambda loop=loop, job=job: run_on(loop, lambda: _pass(turnstile, job))
            for loop, job in zip(loops, jobs, strict=True)
        ),
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
    together(lambda: turnstile.release(borrower, None), lambda: run_on(loop, wait))
    assert turnstile.limiter.borrowed_tokens == 0
    assert not turnstile._queue


@scenario("_turnstile", "_delivery", preemptions=2, quick=True)
def release_over_a_closing_loop() -> None:
    """A token is released as the loop of the first in the queue turns once more and is closed: the one behind it has it."""
    with calm():
        turnstile, borrower, (job, later) = _turnstile(2)
        there, here = asyncio.new_event_loop(), asyncio.new_event_loop()
        first = there.create_task(_pass(turnstile, job))
        there.run_until_complete(anyio.sleep(0.001))
        first._log_destroy_pending = False  # type: ignore[attr-defined]
        second = here.create_task(_pass(turnstile, later))
        here.run_until_complete(anyio.sleep(0.001))
        there.call_soon(there.stop)

    def turn_once() -> None:
        there.run_forever()
        there.close()

    async def release() -> None:
        turnstile.release(borrower, here)
        async with asyncio.timeout(10):  # virtual
            await second

    together(turn_once, lambda: run_on(here, release))
    assert second.done()
    assert not first.done()  # nor was it dropped, which would tell the turnstile
    assert turnstile.limiter.borrowed_tokens == 0
    assert not turnstile._queue

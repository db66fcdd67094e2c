"""The lent token: nesting on the default limiter never starves, and never exceeds the budget either."""

from __future__ import annotations

import threading
from contextvars import copy_context

import anyio
import pytest
from anyio import CapacityLimiter
from anyio.from_thread import BlockingPortal
from anyio.lowlevel import checkpoint
from anyio.to_thread import current_default_thread_limiter

from gllm_core.concurrency import asyncify, syncify
from gllm_core.concurrency._inflight import Loan, innermost_open_loan, loans
from handshakes import WAIT_S, Running, happened, turns, waiting


def test_a_loan_that_is_over_does_not_hide_the_ones_around_it() -> None:
    """Below a lender that has returned, what still runs has the loan of the function around that one. proves: A13"""
    around = Loan(CapacityLimiter(1), None)
    over = Loan(CapacityLimiter(1), around)
    over.close()
    below = copy_context()
    below.run(loans.set, over)
    assert below.run(innermost_open_loan) is around
    around.close()
    assert below.run(innermost_open_loan) is None


async def set_default_tokens(tokens: int) -> int:
    limiter = current_default_thread_limiter()
    before, limiter.total_tokens = int(limiter.total_tokens), tokens
    return before


async def borrowed_by_default() -> int:
    with anyio.fail_after(WAIT_S):  # the last function's token returns a step after its awaiter
        while current_default_thread_limiter().borrowed_tokens:
            await checkpoint()
    return current_default_thread_limiter().borrowed_tokens


def nest(portal: BlockingPortal | None, width: int, depth: int) -> int:
    """How many of *width* chains of *depth* asyncified functions, each waiting for the next, arrive at the bottom."""
    arrived: list[int] = []
    scope: anyio.CancelScope

    def down(levels: int) -> None:
        if levels:
            syncify(descend, portal=portal)(levels - 1)
        else:
            arrived.append(levels)

    def go_on() -> None:
        # Each step of any chain shows that they do not hang; how long all of them take, thousands of threads, is the machine's.
        scope.deadline = anyio.current_time() + WAIT_S

    async def descend(levels: int) -> None:
        go_on()
        await asyncify(down)(levels)
        go_on()

    async def wide() -> None:
        nonlocal scope
        with anyio.fail_after(WAIT_S) as scope:
            async with anyio.create_task_group() as group:
                for _ in range(width):
                    group.start_soon(descend, depth - 1)

    syncify(wide, portal=portal)()
    return len(arrived)


@pytest.mark.parametrize("portal", ["default", "trio"], indirect=True)
def test_sixty_wide_and_fifty_deep(portal: BlockingPortal | None) -> None:
    """Sixty chains of fifty nested functions each get through on the forty default tokens. proves: A13"""
    assert nest(portal, width=60, depth=50) == 60
    assert syncify(borrowed_by_default, portal=portal)() == 0


@pytest.mark.parametrize(("width", "depth"), [(1, 50), (8, 6)])
def test_one_token_is_enough(portal: BlockingPortal | None, width: int, depth: int) -> None:
    """A single default token carries any depth and width. proves: A13"""
    before = syncify(set_default_tokens, portal=portal)(1)
    try:
        assert nest(portal, width, depth) == width
        assert syncify(borrowed_by_default, portal=portal)() == 0
    finally:
        syncify(set_default_tokens, portal=portal)(before)


def test_a_lent_token_runs_one_function_at_a_time(portal: BlockingPortal | None) -> None:
    """Many calls below one function share its one token one after the other. proves: A3, A13"""
    running = Running(1)

    async def fan_out() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(12):
                group.start_soon(asyncify(running))

    async def main() -> None:
        with anyio.fail_after(WAIT_S):
            await asyncify(syncify(fan_out, portal=portal))()

    before = syncify(set_default_tokens, portal=portal)(1)
    try:
        syncify(main, portal=portal)()
    finally:
        syncify(set_default_tokens, portal=portal)(before)
    assert (running.ran, running.peak) == (12, 1)


def test_a_lender_waits_for_an_abandoned_borrower(portal: BlockingPortal | None) -> None:
    """A function does not go on while one that its coroutine abandoned still runs on its lent token. proves: A3, A13"""
    entered, leave = threading.Event(), threading.Event()
    order: list[str] = []

    def borrower() -> None:
        entered.set()
        assert leave.wait(WAIT_S)
        order.append("borrower returned")

    async def abandon() -> None:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(asyncify(borrower, cancellable=True))
                await happened(entered)
                scope.cancel()
        order.append("abandoned")

    def lender() -> None:
        syncify(abandon, portal=portal)()
        order.append("lender goes on")

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(asyncify(lender))
            with anyio.fail_after(WAIT_S):
                while not order:
                    await checkpoint()
            await turns()
            leave.set()

    before = syncify(set_default_tokens, portal=portal)(1)
    try:
        syncify(main, portal=portal)()
        assert order == ["abandoned", "borrower returned", "lender goes on"]
        assert syncify(borrowed_by_default, portal=portal)() == 0
    finally:
        leave.set()
        syncify(set_default_tokens, portal=portal)(before)


def test_the_default_limiter_is_not_lent_where_it_is_passed_explicitly(portal: BlockingPortal | None) -> None:
    """A function on the default limiter by name keeps its token: a call below it waits for one. proves: A13"""
    started: list[int] = []

    async def below() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(asyncify(started.append), 1)
            await waiting(current_default_thread_limiter())
            group.cancel_scope.cancel()

    async def main() -> None:
        before = await set_default_tokens(1)
        try:
            await asyncify(syncify(below, portal=portal), limiter=current_default_thread_limiter())()
        finally:
            await set_default_tokens(before)

    syncify(main, portal=portal)()
    assert started == []


@pytest.mark.parametrize("outer_is_explicit", [False, True])
def test_explicit_limiters_are_never_lent(portal: BlockingPortal | None, outer_is_explicit: bool) -> None:
    """A function on an explicit limiter keeps its token: a call below it on that limiter waits, cancellable. proves: A13, A4"""
    limiter = CapacityLimiter(1)
    started: list[int] = []

    async def below() -> bool:
        async with anyio.create_task_group() as group:
            group.start_soon(asyncify(started.append, limiter=limiter), 1)
            await waiting(limiter)
            group.cancel_scope.cancel()
        return limiter.borrowed_tokens == 1

    async def main() -> bool:
        if outer_is_explicit:
            return await asyncify(syncify(below, portal=portal), limiter=limiter)()
        async with limiter:  # held by somebody else: the default token of the lender is no substitute
            return await asyncify(syncify(below, portal=portal))()

    assert syncify(main, portal=portal)()
    assert started == []
    assert limiter.borrowed_tokens == 0

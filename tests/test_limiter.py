"""The limiter's budget: never exceeded, never lost, on any path."""

from __future__ import annotations

import asyncio
import math

import anyio
import pytest
from anyio import CapacityLimiter
from anyio.lowlevel import checkpoint

from gllm_core.concurrency import asyncify
from handshakes import WAIT_S, Gate, Running, all_tokens_come_back, waiting
from marks import asyncio_only, both_modes

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("tokens", [1, 3, 40])
async def test_saturation_uses_all_tokens_and_no_more(tokens: int) -> None:
    """Under saturation exactly as many functions run at once as there are tokens. proves: A3"""
    limiter = CapacityLimiter(tokens)
    running = Running(tokens)
    async with anyio.create_task_group() as group:
        for _ in range(3 * tokens):
            group.start_soon(asyncify(running, limiter=limiter))
    assert running.peak == tokens
    await all_tokens_come_back(limiter)


async def test_abandoned_functions_hold_their_tokens() -> None:
    """A call waits while abandoned functions have all tokens, and starts as soon as one of them returns. proves: A3, A6"""
    limiter = CapacityLimiter(3)
    gates = [Gate() for _ in range(3)]
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            for gate in gates:
                group.start_soon(asyncify(gate, limiter=limiter, cancellable=True))
                await gate.running()
            scope.cancel()
    assert limiter.borrowed_tokens == 3
    started: list[int] = []
    async with anyio.create_task_group() as group:
        group.start_soon(asyncify(started.append, limiter=limiter), 1)
        await waiting(limiter)
        assert started == []
        gates[0].leave.set()
    assert started == [1]
    for gate in gates:
        gate.leave.set()
    await all_tokens_come_back(limiter)


@both_modes
@pytest.mark.parametrize("how", ["scope", "deadline"])
async def test_a_wait_for_a_token_ends_at_once(how: str, cancellable: bool) -> None:
    """A scope or a deadline ends the wait for a token while the token is still held; the function never starts. proves: A4"""
    limiter = CapacityLimiter(1)
    started: list[int] = []
    async with limiter:
        with anyio.move_on_after(0.01 if how == "deadline" else math.inf) as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(asyncify(started.append, limiter=limiter, cancellable=cancellable), 1)
                await waiting(limiter)
                if how == "scope":
                    scope.cancel()
        assert scope.cancelled_caught
        assert limiter.statistics().tasks_waiting == 0
    assert started == []
    await all_tokens_come_back(limiter)


@asyncio_only
@both_modes
async def test_a_wait_for_a_token_ends_at_once_natively(cancellable: bool) -> None:
    """`task.cancel()` ends the wait for a token while the token is still held; the function never starts. proves: A4"""
    limiter = CapacityLimiter(1)
    started: list[int] = []
    async with limiter:
        task = asyncio.ensure_future(asyncify(started.append, limiter=limiter, cancellable=cancellable)(1))
        await waiting(limiter)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert limiter.statistics().tasks_waiting == 0
    assert started == []
    await all_tokens_come_back(limiter)


async def test_total_tokens_may_change_meanwhile() -> None:
    """More tokens start what waits; fewer stop nothing, but let no more start until enough came back. proves: A3"""
    limiter = CapacityLimiter(0)
    gates = [Gate() for _ in range(3)]
    async with anyio.create_task_group() as group:
        group.start_soon(asyncify(gates[0], limiter=limiter))
        await waiting(limiter)
        limiter.total_tokens = 2
        await gates[0].running()
        group.start_soon(asyncify(gates[1], limiter=limiter))
        await gates[1].running()
        limiter.total_tokens = 1
        group.start_soon(asyncify(gates[2], limiter=limiter))
        await waiting(limiter)
        gates[0].leave.set()
        with anyio.fail_after(WAIT_S):
            while limiter.borrowed_tokens > 1:
                await checkpoint()
        assert limiter.statistics().tasks_waiting == 1
        gates[1].leave.set()
        await gates[2].running()
        gates[2].leave.set()
    await all_tokens_come_back(limiter)


async def test_an_infinite_limiter_never_makes_anybody_wait() -> None:
    """A limiter of infinitely many tokens lets sixty functions run at once. proves: A3"""
    limiter = CapacityLimiter(math.inf)
    running = Running(60)
    async with anyio.create_task_group() as group:
        for _ in range(60):
            group.start_soon(asyncify(running, limiter=limiter))
    assert running.peak == 60
    assert limiter.borrowed_tokens == 0


class Unhashable:
    __hash__ = None  # type: ignore[assignment] # how Python spells it

    def __eq__(self, other: object) -> bool:
        return True

    def __call__(self, *args: object) -> int:
        return len(args)


async def test_unhashable_functions_and_arguments_that_equal_each_other() -> None:
    """Neither function nor arguments need a hash, and equal ones are not taken for one borrower. proves: A2, A3"""
    limiter = CapacityLimiter(2)
    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(asyncify(Unhashable(), limiter=limiter), Unhashable(), [])
    assert await asyncify(Unhashable(), limiter=limiter)(Unhashable(), {}) == 2
    assert limiter.borrowed_tokens == 0

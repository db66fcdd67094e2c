"""Cancellation of a running asyncified call: the awaiter stays, whatever cancels it, and the cancellation is not lost."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from gllm_core.concurrency import asyncify
from handshakes import WAIT_S, Gate, turns
from marks import both_modes, every_lazy_asyncio

pytestmark = pytest.mark.anyio


async def stays_until_let_go(task: asyncio.Task[Any], gate: Gate) -> None:
    """Let the loop turn: the task must not end. Then let the function go and wait for the task."""
    await turns()
    assert not task.done()
    gate.leave.set()
    await asyncio.wait([task], timeout=WAIT_S)
    assert task.done()


async def test_a_deadline_waits_for_the_function() -> None:
    """`move_on_after` ends with the function, not before, and says that it was cancelled. proves: A5"""
    gate, finished = Gate(), list[bool]()

    async def call() -> None:
        with anyio.move_on_after(WAIT_S) as scope:
            scopes.append(scope)
            try:
                await asyncify(gate)()
            finally:
                finished.append(gate.left.is_set())
        assert scope.cancelled_caught

    scopes: list[anyio.CancelScope] = []
    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await gate.running()
        scopes[0].deadline = anyio.current_time()
        await turns()
        assert finished == []
        gate.leave.set()
    assert finished == [True]


@every_lazy_asyncio
@pytest.mark.parametrize("cancels", [1, 2, 5])
async def test_native_cancellations_are_counted(cancels: int) -> None:
    """However often `task.cancel()` is called, the task stays, ends cancelled, and `cancelling()` counts each. proves: A5"""
    gate, counts = Gate(), list[int]()

    async def awaiter() -> None:
        try:
            await asyncify(gate)()
        finally:
            task = asyncio.current_task()
            assert task is not None
            counts.append(task.cancelling())

    task = asyncio.ensure_future(awaiter())
    await gate.running()
    for _ in range(cancels):
        task.cancel()
        await turns(2)
    await stays_until_let_go(task, gate)
    assert task.cancelled()
    assert counts == [cancels]


@every_lazy_asyncio
async def test_a_task_that_takes_its_cancellation_back_can_go_on() -> None:
    """After `uncancel()` the task calls again as if nothing had happened. proves: A5, A2"""
    gate = Gate()

    async def awaiter() -> str:
        task = asyncio.current_task()
        assert task is not None
        with pytest.raises(asyncio.CancelledError):
            await asyncify(gate)()
        assert task.uncancel() == 0
        return await asyncify(gate)()

    task = asyncio.ensure_future(awaiter())
    await gate.running()
    task.cancel()
    await stays_until_let_go(task, gate)
    assert task.result() == "through"


@every_lazy_asyncio
async def test_asyncio_timeout_waits_and_then_times_out() -> None:
    """`asyncio.timeout` raises TimeoutError, once the function has returned, and leaves no cancellation behind. proves: A5"""
    gate, counts = Gate(), list[int]()

    async def timed() -> None:
        async with asyncio.timeout(None) as timeout:
            opened.append(timeout)
            await asyncify(gate)()

    async def awaiter() -> None:
        with pytest.raises(TimeoutError):
            await timed()
        task = asyncio.current_task()
        assert task is not None
        counts.append(task.cancelling())
        await checkpoint()

    opened: list[asyncio.Timeout] = []
    task = asyncio.ensure_future(awaiter())
    await gate.running()
    opened[0].reschedule(asyncio.get_running_loop().time())
    await stays_until_let_go(task, gate)
    task.result()
    assert counts == [0]


@every_lazy_asyncio
async def test_wait_for_waits_and_then_times_out() -> None:
    """`asyncio.wait_for` raises TimeoutError, once the function has returned. proves: A5"""
    gate = Gate()
    task = asyncio.ensure_future(asyncio.wait_for(asyncify(gate)(), 0.05))  # time is the subject: nothing else ends wait_for
    await gate.running()
    await asyncio.wait([task], timeout=0.1)
    await stays_until_let_go(task, gate)
    assert isinstance(task.exception(), TimeoutError)


@every_lazy_asyncio
@both_modes
async def test_cancelled_before_the_task_starts(cancellable: bool) -> None:
    """A task that is cancelled before its first step never starts the function. proves: A4"""
    started: list[int] = []
    task = asyncio.ensure_future(asyncify(started.append, cancellable=cancellable)(1))
    task.cancel()
    await asyncio.wait([task], timeout=WAIT_S)
    assert task.cancelled()
    assert started == []


@both_modes
async def test_cancelled_before_the_call(cancellable: bool) -> None:
    """In a scope that is cancelled already the function never starts; in a shielded one inside it does. proves: A4"""
    started: list[int] = []
    call = asyncify(started.append, cancellable=cancellable)
    with anyio.CancelScope() as scope:
        scope.cancel()
        with anyio.CancelScope(shield=True):
            await call(1)
        await call(2)
    assert scope.cancelled_caught
    assert started == [1]


@both_modes
async def test_a_shielded_call_is_not_cancelled(cancellable: bool) -> None:
    """Below a shield the awaiter gets the value; the scope outside is cancelled at the next await. proves: A5"""
    gate, got = Gate(), list[str]()

    async def call() -> None:
        with anyio.CancelScope(shield=True):
            got.append(await asyncify(gate, cancellable=cancellable)())
        await checkpoint()
        got.append("not cancelled")

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(call)
            await gate.running()
            scope.cancel()
            gate.leave.set()
    assert got == ["through"]


@every_lazy_asyncio
@both_modes
@pytest.mark.parametrize("error", [None, ValueError("from the function")])
async def test_cancelled_in_the_step_in_which_it_ends(cancellable: bool, error: ValueError | None) -> None:
    """A native cancellation in the very step in which the outcome arrives is never swallowed. proves: A5, A6"""
    gate = Gate(error)
    call = asyncify(gate, cancellable=cancellable)

    async def awaiter() -> None:
        await call()
        await checkpoint()  # a cancellation that came too late for the call ends the task here

    for turn in range(6):
        gate.leave.clear()
        gate.left.clear()
        task = asyncio.ensure_future(awaiter())
        await gate.running()
        gate.leave.set()
        gate.left.wait(WAIT_S)  # blocks the loop, so that outcome and cancellation meet in the turns that follow
        await turns(turn)
        if task.cancel():
            await asyncio.wait([task], timeout=WAIT_S)
            assert task.cancelled()
        else:
            assert task.done()
            assert task.exception() is error


@every_lazy_asyncio
async def test_a_native_cancellation_beside_a_cancelled_scope_is_not_swallowed() -> None:
    """With both a scope and the task cancelled, an error of the function does not use up the task's own one. proves: A5"""
    gate, scopes = Gate(ValueError("from the function")), list[anyio.CancelScope]()

    async def awaiter() -> None:
        with anyio.CancelScope() as scope:
            scopes.append(scope)
            with suppress(ValueError):
                await asyncify(gate)()
        await checkpoint()
        raise AssertionError("the native cancellation was lost")

    task = asyncio.ensure_future(awaiter())
    await gate.running()
    scopes[0].cancel()
    task.cancel()
    await stays_until_let_go(task, gate)
    assert task.cancelled()

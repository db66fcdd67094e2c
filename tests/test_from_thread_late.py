"""anyio.from_thread, where the function asks the loop for something when its awaiter has been cancelled already."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from contextlib import aclosing

import anyio
import anyio.from_thread
import pytest
from anyio.lowlevel import checkpoint, checkpoint_if_cancelled

from gllm_core.concurrency import asyncify, asyncify_iterator
from gllm_core.concurrency._anyio_internals import cancel_scope_of_worker
from handshakes import WAIT_S, Gate, happened
from marks import asyncio_only, both_modes

pytestmark = pytest.mark.anyio


@both_modes
@pytest.mark.parametrize("ask", [checkpoint_if_cancelled, anyio.sleep_forever], ids=["looks", "waits"])
async def test_what_is_asked_after_the_cancellation_ends(cancellable: bool, ask: object, anyio_backend_name: str) -> None:
    """`from_thread.run` below an awaiter that was cancelled before is cancelled, too, and the function goes on. proves: A7"""
    if of_nobody := anyio_backend_name == "trio" and cancellable:
        ask = checkpoint_if_cancelled  # trio runs what an abandoned function asks for below no task of anybody's
    gate, ended, errors = Gate(), threading.Event(), list[BaseException]()

    def function() -> None:
        gate()
        try:
            anyio.from_thread.run(ask)  # type: ignore[arg-type] # either of the two
        except BaseException as error:
            errors.append(error)
            raise
        finally:
            ended.set()

    with anyio.fail_after(WAIT_S):
        async with anyio.create_task_group() as group:
            group.start_soon(asyncify(function, cancellable=cancellable))
            await gate.running()
            group.cancel_scope.cancel()
            gate.leave.set()
        await happened(ended)
    assert [type(error) for error in errors] == ([] if of_nobody else [anyio.get_cancelled_exc_class()])


@asyncio_only
async def test_what_is_asked_after_a_native_cancellation_ends() -> None:
    """The same where `task.cancel()` cancelled the awaiter: the function returns, and the task is cancelled. proves: A7, A5"""
    gate = Gate()

    def function() -> None:
        gate()
        anyio.from_thread.run(checkpoint_if_cancelled)

    task = asyncio.ensure_future(asyncify(function)())
    await gate.running()
    task.cancel()
    await checkpoint()
    gate.leave.set()
    await asyncio.wait([task], timeout=WAIT_S)
    assert task.cancelled()


@asyncio_only
async def test_what_a_source_asks_for_is_cancelled_with_its_consumer() -> None:
    """A source that is blocked in `from_thread.run` is cancelled with its consumer, as a function is. proves: A7, I3"""
    begun, closed = threading.Event(), threading.Event()

    async def endless() -> None:
        begun.set()
        await anyio.sleep_forever()

    def source() -> Iterator[int]:
        try:
            anyio.from_thread.run(endless)
            yield 1
        finally:
            closed.set()

    with anyio.fail_after(WAIT_S):
        async with anyio.create_task_group() as group:
            group.start_soon(anext, asyncify_iterator(source)())
            await happened(begun)
            group.cancel_scope.cancel()
    assert closed.is_set()


@pytest.mark.parametrize("in_production", [False, True])
async def test_closing_may_ask_the_loop(in_production: bool) -> None:
    """A `finally` block may use `from_thread`, though its consumer was cancelled in the middle of an item. proves: A7, I3"""
    gate, outcomes = Gate(), list[object]()

    async def rollback() -> str:
        await checkpoint_if_cancelled()
        await checkpoint()
        return "rolled back"

    def transaction() -> Iterator[int]:
        try:
            yield 1
            gate()
            yield 2
        finally:
            outcomes.append(anyio.from_thread.run(rollback))

    async def consume() -> None:
        async with aclosing(asyncify_iterator(transaction)()) as stream:
            await anext(stream)
            if in_production:
                await anext(stream)
            else:
                scope.cancel()
                await checkpoint()

    with anyio.fail_after(WAIT_S), anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(consume)
            if in_production:
                await gate.running()
                scope.cancel()
                gate.leave.set()
    assert outcomes == ["rolled back"]


class _Scope:
    """What a worker's scope has inside."""

    def __init__(self) -> None:
        self._tasks: set[object] = set()
        self._cancel_handle: object = None
        self.rounds = 0

    def cancel(self) -> None: ...

    def _deliver_cancellation(self, origin: object) -> None:
        assert origin is self
        self.rounds += 1
        self._cancel_handle = "in the next turn"


def test_there_is_one_round_of_cancellations_at_a_time() -> None:
    """A task that comes while a round is due anyway begins no second one; when the scope is gone, none begins. proves: A7"""
    scope = _Scope()
    cancel_scope_of_worker(scope)
    tasks = scope._tasks
    tasks.add("in time")
    assert scope.rounds == 1
    scope._cancel_handle = None
    tasks.add("later")
    assert scope.rounds == 2
    del scope
    gc.collect()
    tasks.add("too late")
    assert tasks == {"in time", "later", "too late"}

"""Cancellation through the hops: await, thread, syncify, await, thread, and so on down, and the news back up."""

from __future__ import annotations

import asyncio
import threading

import anyio
import pytest
from anyio.from_thread import BlockingPortal
from anyio.lowlevel import checkpoint

from gllm_core.concurrency import asyncify, syncify
from handshakes import WAIT_S, happened, turns
from marks import asyncio_only, both_modes

pytestmark = pytest.mark.anyio
depths = pytest.mark.parametrize("depth", [1, 2, 7])


class Well:
    """Nested calls down to a coroutine that never ends; each level on the way says when it is left."""

    def __init__(self, portal: BlockingPortal | None, cancellable: bool) -> None:
        self.bottom_reached, self.all_left = threading.Event(), threading.Event()
        self.left: list[int] = []
        self.left_async: list[int] = []
        self._portal, self._cancellable = portal, cancellable

    def down(self, depth: int) -> None:
        try:
            syncify(self.adown, portal=self._portal)(depth)
        finally:
            self.left.append(depth)
            if len(self.left) == self.top:
                self.all_left.set()

    async def adown(self, depth: int) -> None:
        try:
            if depth > 1:
                await asyncify(self.down, cancellable=self._cancellable)(depth - 1)
            else:
                self.bottom_reached.set()
                await anyio.sleep_forever()
        finally:
            self.left_async.append(depth)

    async def descend(self, depth: int) -> None:
        self.top = depth
        await asyncify(self.down, cancellable=self._cancellable)(depth)


@depths
@both_modes
async def test_a_scope_reaches_the_bottom(portal: BlockingPortal | None, cancellable: bool, depth: int) -> None:
    """A scope around the outermost await cancels every coroutine and ends every function below it. proves: S7, A5, A6"""
    well = Well(portal, cancellable)
    with anyio.fail_after(WAIT_S), anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(well.descend, depth)
            await happened(well.bottom_reached)
            scope.cancel()
    assert scope.cancelled_caught
    await happened(well.all_left)
    if not cancellable:
        assert well.left == well.left_async == list(range(1, depth + 1))  # from the bottom up
    assert sorted(well.left_async) == list(range(1, depth + 1))


@asyncio_only
@depths
@both_modes
@pytest.mark.parametrize("way", ["cancel", "timeout"])
async def test_a_native_cancellation_reaches_the_bottom(
    portal: BlockingPortal | None, cancellable: bool, depth: int, way: str
) -> None:
    """`task.cancel()` and `asyncio.timeout` cancel every coroutine and end every function below. proves: S7, A5, A6"""
    well, opened = Well(portal, cancellable), list[asyncio.Timeout]()

    async def awaiter() -> None:
        async with asyncio.timeout(None) as timeout:
            opened.append(timeout)
            await well.descend(depth)

    task = asyncio.ensure_future(awaiter())
    await happened(well.bottom_reached)
    if way == "cancel":
        task.cancel()
    else:
        opened[0].reschedule(asyncio.get_running_loop().time())
    await asyncio.wait([task], timeout=WAIT_S)
    assert task.cancelled() if way == "cancel" else isinstance(task.exception(), TimeoutError)
    await happened(well.all_left)
    assert sorted(well.left) == sorted(well.left_async) == list(range(1, depth + 1))


async def test_a_call_made_after_the_cancellation_is_cancelled_too(portal: BlockingPortal | None) -> None:
    """A syncified call that the function makes once its awaiter was cancelled ends at its first await. proves: S7"""
    entered, go_on, steps = threading.Event(), threading.Event(), list[str]()

    async def coroutine() -> None:
        steps.append("begun")
        await anyio.sleep_forever()

    def function() -> None:
        entered.set()
        assert go_on.wait(WAIT_S)
        try:
            syncify(coroutine, portal=portal)()
        finally:
            steps.append("ended")

    with anyio.fail_after(WAIT_S):
        async with anyio.create_task_group() as group:
            group.start_soon(asyncify(function))
            await happened(entered)
            group.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await turns()
            go_on.set()
    assert steps == ["begun", "ended"]


async def test_cleanup_at_the_bottom_may_call_again(portal: BlockingPortal | None) -> None:
    """A `finally` block of the cancelled coroutine may use the bridge below a shield. proves: S7, A2"""
    begun, cleaned = threading.Event(), list[int]()

    async def coroutine() -> None:
        try:
            begun.set()
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await asyncify(cleaned.append)(1)

    with anyio.fail_after(WAIT_S):
        async with anyio.create_task_group() as group:
            group.start_soon(asyncify(syncify(coroutine, portal=portal)))
            await happened(begun)
            group.cancel_scope.cancel()
    assert cleaned == [1]


async def test_neighbours_are_not_cancelled(portal: BlockingPortal | None) -> None:
    """Only the cancelled awaiter's coroutine ends: its neighbour on the same portal gets its value. proves: S7, S5"""
    begun, other_begun, let_go = threading.Event(), threading.Event(), threading.Event()
    got: list[str] = []

    async def endless() -> None:
        begun.set()
        await anyio.sleep_forever()

    async def neighbour() -> str:
        other_begun.set()
        while not let_go.is_set():
            await checkpoint()
        return "value"

    async def get() -> None:
        got.append(await asyncify(syncify(neighbour, portal=portal))())

    with anyio.fail_after(WAIT_S):
        async with anyio.create_task_group() as outer:
            outer.start_soon(get)
            async with anyio.create_task_group() as group:
                group.start_soon(asyncify(syncify(endless, portal=portal)))
                await happened(begun)
                await happened(other_begun)
                group.cancel_scope.cancel()
            let_go.set()
    assert got == ["value"]

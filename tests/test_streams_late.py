"""A cancellation that reaches the loop of a syncified stream when the step that it was meant for is over."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

import anyio
import pytest
from anyio.from_thread import BlockingPortal
from anyio.lowlevel import cancel_shielded_checkpoint, checkpoint

from gllm_core.concurrency import asyncify_iterator, in_flight, syncify_iterator
from handshakes import WAIT_S, happened

pytestmark = pytest.mark.anyio


async def cancelled_in_step(source: Callable[[], AsyncIterator[int]], portal: BlockingPortal | None) -> None:
    """Read *source* to its second item, through a thread, and be cancelled while that item is produced, by blocking code."""
    producing, may_go_on = threading.Event(), threading.Event()

    async def blocks_in_mid_step() -> AsyncIterator[int]:
        async with aclosing(source()) as items:  # type: ignore[type-var] # a generator
            yield await anext(items)
            producing.set()
            assert may_go_on.wait(WAIT_S)  # and with it the portal's loop, which hears of the cancellation later
            yield await anext(items)

    async def consume() -> None:
        with scope:
            async with aclosing(asyncify_iterator(syncify_iterator(blocks_in_mid_step, portal=portal))()) as stream:
                async for _ in stream:
                    pass

    scope = anyio.CancelScope()
    async with anyio.create_task_group() as group:
        group.start_soon(consume)
        await happened(producing)
        scope.cancel()
        while not any(call.state == "cancelling" for call in in_flight()):
            await checkpoint()
        may_go_on.set()
    assert scope.cancelled_caught


async def test_the_close_is_not_cancelled_by_what_came_too_late(portal: BlockingPortal | None) -> None:
    """A cancellation that the portal hears of after the step's end is not that of the close. proves: I3, S7"""
    closed: list[int] = []

    async def source() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            await checkpoint()
            try:
                cancels = asyncio.current_task().cancelling()  # type: ignore[union-attr] # it runs this
            except RuntimeError:  # not asyncio: the checkpoint would have raised
                cancels = 0
            closed.append(cancels)

    await cancelled_in_step(source, portal)
    assert closed == [0]


async def test_a_step_that_does_not_notice_its_cancellation_is_over_in_peace(portal: BlockingPortal | None) -> None:
    """A step that ends in a shield, though it was cancelled, makes no error of the consumer's cancellation. proves: I3, A5"""
    closed = threading.Event()

    async def source() -> AsyncIterator[int]:
        try:
            yield 1
            for _ in range(20):  # until the portal's loop has heard of it
                await cancel_shielded_checkpoint()
            yield 2
        finally:
            closed.set()

    await cancelled_in_step(source, portal)
    assert closed.is_set()

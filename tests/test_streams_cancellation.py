"""`task.cancel()` in a step: what the source raises, as it is closed for that, does not go before the cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from anyio.lowlevel import checkpoint

from gllm_core.concurrency import asyncify_context, asyncify_iterator
from handshakes import WAIT_S, Gate, turns
from marks import every_lazy_asyncio

pytestmark = [pytest.mark.anyio, every_lazy_asyncio]


@pytest.mark.parametrize("kind", ["stream", "scope"])
async def test_an_error_of_the_close_does_not_swallow_the_cancellation(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """`task.cancel()` in a step ends the task cancelled, though closing raises, which is logged. proves: A5, A6, I3"""
    gate, error = Gate(), ValueError("as it was closed")

    def source() -> Iterator[str]:
        try:
            yield gate()
        finally:
            raise error

    async def consume() -> None:
        if kind == "stream":
            async for _ in asyncify_iterator(source)():
                pass
        else:
            async with asyncify_context(contextmanager(source))():
                pass

    task = asyncio.ensure_future(consume())
    await gate.running()
    task.cancel("now")
    await turns()
    gate.leave.set()
    await asyncio.wait([task], timeout=WAIT_S)
    assert task.cancelled()
    with pytest.raises(asyncio.CancelledError, match="now"):
        await task
    assert [record.exc_info[1] for record in caplog.records if record.exc_info] == [error]


@pytest.mark.parametrize("kind", ["stream", "scope"])
async def test_a_deadline_beside_an_error_of_the_close_is_one(kind: str) -> None:
    """`asyncio.timeout` over a step raises TimeoutError, whatever closing raises. proves: A5, I3"""
    gate = Gate()

    def source() -> Iterator[str]:
        try:
            yield gate()
        finally:
            raise ValueError

    async def consume() -> None:
        async with asyncio.timeout(None) as deadline:
            deadlines.append(deadline)
            if kind == "stream":
                await anext(asyncify_iterator(source)())
            else:
                await asyncify_context(contextmanager(source))().__aenter__()

    deadlines = list[asyncio.Timeout]()
    task = asyncio.ensure_future(consume())
    await gate.running()
    deadlines[0].reschedule(asyncio.get_running_loop().time())
    while not deadlines[0].expired():
        await checkpoint()
    await turns()
    gate.leave.set()
    await asyncio.wait([task], timeout=WAIT_S)
    with pytest.raises(TimeoutError):
        task.result()

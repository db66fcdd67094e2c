"""Streams that are no generators: a cancellation does not end them by itself, as it ends a generator."""

from __future__ import annotations

import threading

import anyio
import pytest
from anyio.from_thread import BlockingPortal, check_cancelled

from gllm_core.concurrency import asyncify, asyncify_iterator, syncify, syncify_iterator
from handshakes import WAIT_S, happened

pytestmark = pytest.mark.anyio


class AsyncSource:
    """An asynchronous stream, such as AnyIO's, that gives nothing, and is to be closed."""

    def __init__(self) -> None:
        self.producing, self.closed = threading.Event(), threading.Event()

    def __aiter__(self) -> AsyncSource:
        return self

    async def __anext__(self) -> int:
        self.producing.set()
        await anyio.sleep_forever()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closed.set()


class Source:
    """A blocking stream, such as a cursor, that gives nothing, and is to be closed; *wait* sees the cancellation."""

    def __init__(self, wait: str) -> None:
        self.wait = wait
        self.producing, self.closed = threading.Event(), threading.Event()

    def __iter__(self) -> Source:
        return self

    def __next__(self) -> int:
        self.producing.set()
        if self.wait == "syncify":
            syncify(anyio.sleep_forever)()
        while True:
            check_cancelled()

    def close(self) -> None:
        self.closed.set()


async def test_an_async_stream_that_is_cancelled_is_closed(portal: BlockingPortal | None) -> None:
    """An object that is cancelled while it produces is closed, as a generator closes itself. proves: I3, S7"""
    source = AsyncSource()

    def consume() -> None:
        for _ in syncify_iterator(lambda: source, portal=portal)():
            pass

    with anyio.fail_after(WAIT_S):
        async with anyio.create_task_group() as group:
            group.start_soon(asyncify(consume))
            await happened(source.producing)
            group.cancel_scope.cancel()
    assert source.closed.is_set()


@pytest.mark.parametrize("wait", ["syncify", "check_cancelled"])
async def test_a_blocking_stream_that_is_cancelled_is_closed(wait: str) -> None:
    """An object that raises the cancellation which it saw is closed, as a generator closes itself. proves: I3"""
    source = Source(wait)

    async def consume() -> None:
        async for _ in asyncify_iterator(lambda: source)():
            pass

    with anyio.fail_after(WAIT_S):
        async with anyio.create_task_group() as group:
            group.start_soon(consume)
            await happened(source.producing)
            group.cancel_scope.cancel()
    assert source.closed.is_set()

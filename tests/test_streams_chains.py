"""Streams below a blocked loop, whose consumer is cancelled."""

from __future__ import annotations

import asyncio
import threading
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

import anyio
import pytest
from anyio.from_thread import check_cancelled

from gllm_core.concurrency import BlockedLoopWarning, asyncify, in_flight, syncify, syncify_context, syncify_iterator
from handshakes import WAIT_S, happened, turns


@pytest.mark.parametrize("kind", ["stream", "scope"])
@pytest.mark.parametrize("blocked", [False, True])
def test_what_is_left_after_the_cancellation_may_await(blocked: bool, kind: str) -> None:
    """Leaving is not cancelled by what came before it, below a blocked loop either. proves: I3, I4, S7"""
    begun, log = threading.Event(), list[str]()

    async def source() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await turns()
            log.append("closed")

    def consume() -> None:
        with (
            closing(syncify_iterator(source)()) if kind == "stream" else syncify_context(asynccontextmanager(source))()
        ) as stream:
            if not isinstance(stream, int):
                next(stream)
            begun.set()
            while True:
                check_cancelled()

    async def consumer() -> None:
        with anyio.fail_after(WAIT_S):
            async with anyio.create_task_group() as group:
                group.start_soon(asyncify(consume))
                await happened(begun)
                group.cancel_scope.cancel()

    async def blocks() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BlockedLoopWarning)
            syncify(consumer)()

    if blocked:
        asyncio.run(blocks())
    else:
        syncify(consumer)()
    assert log == ["closed"]
    assert in_flight() == ()

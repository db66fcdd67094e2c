"""Calls made by what calls itself too often: a RecursionError may come at any of their own steps."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterator
from inspect import stack

import anyio
import pytest
from anyio import CapacityLimiter
from anyio.lowlevel import checkpoint
from anyio.to_thread import current_default_thread_limiter

from gllm_core.concurrency import asyncify, in_flight, syncify
from handshakes import WAIT_S, all_tokens_come_back
from marks import asyncio_only

LIMIT = 300
"""How many frames there may be; little, so that what recurses does not take long."""

NEAR_THE_END = range(2, 60)
"""How many frames are left for a call: at the least, too few to begin it; at the most, more than it takes."""


@pytest.fixture
def few_frames() -> Iterator[int]:
    """A low limit. Its value: how many frames below the caller that is."""
    before, here = sys.getrecursionlimit(), len(stack(0))
    sys.setrecursionlimit(here + LIMIT)
    yield LIMIT
    sys.setrecursionlimit(before)


def test_a_syncified_call_leaves_nothing_behind(few_frames: int) -> None:
    """Wherever the frames give out, the call is over when it has raised, and the next one works. proves: S12, in_flight"""

    async def coroutine() -> str:
        await checkpoint()
        return "value"

    def below(frames: int) -> str:
        return below(frames - 1) if frames else call()

    call = syncify(coroutine)
    assert call() == "value"
    failed, left = 0, list[int]()
    for frames in NEAR_THE_END:
        try:
            below(few_frames - frames)
        except RecursionError:
            failed += 1
            if in_flight():
                left.append(frames)
    assert (left, call()) == ([], "value")
    assert 0 < failed < len(NEAR_THE_END)


@asyncio_only
@pytest.mark.anyio
@pytest.mark.parametrize("limiter", [None, CapacityLimiter(1)], ids=["default", "explicit"])
async def test_an_asyncified_call_loses_no_token(limiter: CapacityLimiter | None, few_frames: int) -> None:
    """Wherever the frames give out, the token comes back, at the next call at the latest. proves: A3, in_flight"""

    async def below(frames: int, call: Callable[[], Awaitable[int]]) -> int:
        return await (below(frames - 1, call) if frames else call())

    call = asyncify(int, limiter=limiter)
    assert await call() == 0
    failed = 0
    for frames in NEAR_THE_END:
        try:
            await below(few_frames - frames, call)
        except RecursionError:
            failed += 1
        with anyio.fail_after(WAIT_S):
            assert await call() == 0
        await all_tokens_come_back(limiter or current_default_thread_limiter())
        assert in_flight() == (), frames
    assert 0 < failed < len(NEAR_THE_END)

"""Calls made by what calls itself too often: a RecursionError may come at any of their own steps."""

from __future__ import annotations

import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from inspect import stack

import anyio
import pytest
from anyio import CapacityLimiter
from anyio.lowlevel import checkpoint
from anyio.to_thread import current_default_thread_limiter

from gllm_core.concurrency import asyncify, get_default_portal, in_flight, syncify
from handshakes import WAIT_S, all_tokens_come_back
from marks import asyncio_only
from outcomes import outcome_of

LIMIT = 300
"""How many frames there may be; little, so that what recurses does not take long."""

NEAR_THE_END = range(-20, 280, 3) if sys.gettrace() else range(-20, 160)
"""How many frames are left for a call: at the least, too few to come to it; at the most, more than it takes, asyncio's debug
mode included. Where lines are traced, Python 3.11 counts each coroutine twice.
"""


@contextmanager
def few_frames() -> Iterator[int]:
    """A low limit. Its value: how many frames there may be above the caller's, give or take a few."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(len(stack(0)) + LIMIT)
    try:
        yield LIMIT
    finally:
        sys.setrecursionlimit(before)


def test_a_syncified_call_leaves_nothing_behind() -> None:
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
            with few_frames() as limit:
                below(limit - frames)
        except RecursionError:
            failed += 1
            if in_flight():
                left.append(frames)
    assert (left, call()) == ([], "value")
    assert 0 < failed < len(NEAR_THE_END)


def test_the_portal_goes_on_with_the_calls_of_others() -> None:
    """Wherever the frames give out, the portal is not taken for dead, nor replaced, and another call goes on. proves: S5, P2"""
    began = threading.Event()
    values: list[object] = []
    portal = get_default_portal()
    may_end = portal.call(anyio.Event)

    async def of_another_thread() -> str:
        began.set()
        await may_end.wait()
        return "value"

    async def coroutine() -> None:
        await checkpoint()

    def below(frames: int) -> None:
        if frames:
            below(frames - 1)
        else:
            call()

    call = syncify(coroutine)
    thread = threading.Thread(target=lambda: values.append(outcome_of(syncify(of_another_thread))), daemon=True)
    thread.start()
    assert began.wait(WAIT_S)
    replaced: list[int] = []
    for frames in NEAR_THE_END:
        with suppress(RecursionError), few_frames() as limit:
            below(limit - frames)
        if get_default_portal() is not portal:
            replaced.append(frames)
    portal.call(may_end.set)
    thread.join(WAIT_S)
    assert (replaced, values) == ([], [("value", "value")])


@asyncio_only
@pytest.mark.anyio
@pytest.mark.parametrize("limiter", [None, CapacityLimiter(1)], ids=["default", "explicit"])
async def test_an_asyncified_call_loses_no_token(limiter: CapacityLimiter | None) -> None:
    """Wherever the frames give out, the token comes back, at the next call at the latest. proves: A3, in_flight"""

    async def below(frames: int, call: Callable[[], Awaitable[int]]) -> int:
        return await (below(frames - 1, call) if frames else call())

    call = asyncify(int, limiter=limiter)
    assert await call() == 0
    failed = 0
    for frames in NEAR_THE_END:
        try:
            with few_frames() as limit:
                await below(limit - frames, call)
        except RecursionError:
            failed += 1
        with anyio.fail_after(WAIT_S):
            assert await call() == 0
        await all_tokens_come_back(limiter or current_default_thread_limiter())
        assert in_flight() == (), frames
    assert 0 < failed < len(NEAR_THE_END)

"""No token is lost: not in cancellation storms, not in the narrowest race, not where threads fail to start."""

from __future__ import annotations

import asyncio
import math
import sys
import threading
from importlib import import_module
from typing import Any

import anyio
import pytest
from anyio import CapacityLimiter
from hypothesis import given, settings
from hypothesis import strategies as st

from gllm_core.concurrency import _workers, asyncify
from handshakes import WAIT_S, Running, all_tokens_come_back, turns, waiting
from marks import both_modes

pytestmark = pytest.mark.anyio


@both_modes
async def test_a_token_granted_to_a_cancelled_waiter_is_not_lost(cancellable: bool) -> None:
    """A token that is granted in the very step in which its waiter is cancelled comes back. proves: A3, A4"""
    limiter = CapacityLimiter(1)
    holder = object()
    limiter.acquire_on_behalf_of_nowait(holder)
    ran: list[int] = []
    async with anyio.create_task_group() as group:
        group.start_soon(asyncify(ran.append, limiter=limiter, cancellable=cancellable), 1)
        await waiting(limiter)
        limiter.release_on_behalf_of(holder)
        group.cancel_scope.cancel()
    await all_tokens_come_back(limiter)


async def shoot(call: Any, how: str, after: int) -> None:
    """Make *call* in a task of its own, and cancel it *after* so many turns of the loop."""
    if how == "native":
        task = asyncio.ensure_future(call())
        await turns(after)
        task.cancel()
        await asyncio.wait([task])
        return
    with anyio.move_on_after(after / 20_000 if how == "deadline" else math.inf):
        async with anyio.create_task_group() as group:
            group.start_soon(call)
            await turns(after)
            if how == "scope":
                group.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("backend", "ways"), [("asyncio", ["scope", "native", "deadline", "none"]), ("trio", ["scope", "deadline"])]
)
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_no_token_is_lost_in_a_cancellation_storm(backend: str, ways: list[str], data: st.DataObject) -> None:
    """Whatever cancels calls at whatever turn of the loop, in both modes, all tokens come back. proves: A3, A4, A5, A6"""
    shots = st.tuples(st.sampled_from(ways), st.integers(0, 8), st.booleans())
    storm = data.draw(st.lists(shots, min_size=4, max_size=16))
    tokens = data.draw(st.sampled_from([1, 3]))
    running = Running(1)

    async def main() -> None:
        limiter = CapacityLimiter(tokens)
        async with anyio.create_task_group() as group:
            for how, after, cancellable in storm:
                group.start_soon(shoot, asyncify(running, limiter=limiter, cancellable=cancellable), how, after)
        await all_tokens_come_back(limiter)

    anyio.run(main, backend=backend)
    assert running.peak <= tokens


@both_modes
async def test_a_thread_that_cannot_be_started_costs_no_token(cancellable: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no thread can be started, the call raises that error, its token returns, and the next call works. proves: A3"""
    limiter = CapacityLimiter(1)
    ran: list[int] = []

    def refuse(thread: threading.Thread) -> Any:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(_workers, "_idle", [])
        if "trio" in sys.modules:
            patch.setattr(import_module("trio._core._thread_cache").THREAD_CACHE, "_idle_workers", {})
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            await asyncify(ran.append, limiter=limiter, cancellable=cancellable)(1)
    assert limiter.borrowed_tokens == 0
    with anyio.fail_after(WAIT_S):
        await asyncify(ran.append, limiter=limiter)(2)
    assert ran == [2]

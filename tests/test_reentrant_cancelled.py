"""Cancellation of calls that block a loop, which cannot tell its own tasks of it meanwhile."""

from __future__ import annotations

import asyncio
import threading
import warnings
from collections.abc import Iterator

import anyio
import pytest

from gllm_core.concurrency import BlockedLoopWarning, ReentrantCallWarning, asyncify, syncify
from handshakes import WAIT_S, happened
from interrupt_programs import interrupted
from marks import asyncio_only
from subprocess_tools import run_program


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReentrantCallWarning)
        warnings.simplefilter("ignore", BlockedLoopWarning)
        yield


async def cancelled_below(func: object, bottom_reached: threading.Event) -> None:
    with anyio.fail_after(WAIT_S), anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(asyncify(func))  # type: ignore[call-overload] # of any kind
            await happened(bottom_reached)
            scope.cancel()
    assert scope.cancelled_caught


@asyncio_only
@pytest.mark.anyio
@pytest.mark.parametrize("depth", [1, 4])
async def test_a_cancellation_reaches_through_re_entrant_calls(depth: int) -> None:
    """A scope around the outermost await cancels what re-entrant calls wait for; all `finally` blocks may await.

    proves: S7, S8
    """
    bottom_reached, left = threading.Event(), list[int]()

    async def down(above: int) -> None:
        try:
            if above:
                syncify(down)(above - 1)
            bottom_reached.set()
            await asyncio.sleep(2 * WAIT_S)
        finally:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            left.append(above)

    await cancelled_below(lambda: syncify(down)(depth), bottom_reached)
    assert left == list(range(depth + 1))


@asyncio_only
@pytest.mark.anyio
async def test_a_coroutine_that_returns_all_the_same_does_not_swallow_a_cancellation() -> None:
    """Where what a re-entrant call waits for returns, its caller is cancelled at its own next await. proves: S7, S8"""
    bottom_reached, seen = threading.Event(), list[str]()

    async def stubborn() -> str:
        bottom_reached.set()
        try:
            await asyncio.sleep(2 * WAIT_S)
        except asyncio.CancelledError:
            return "value"
        return "was not cancelled"

    async def outer() -> None:
        seen.append(syncify(stubborn)())
        await asyncio.sleep(2 * WAIT_S)
        seen.append("went on")

    await cancelled_below(lambda: syncify(outer)(), bottom_reached)
    assert seen == ["value"]


def test_an_interrupt_reaches_through_a_re_entrant_call() -> None:
    """Ctrl-C in the thread that waits above a re-entrant call cancels what that waits for, which cleans up. proves: S6, S8"""
    run_program(
        interrupted(
            """
from gllm_core.concurrency import ReentrantCallWarning
warnings.simplefilter("ignore", ReentrantCallWarning)
async def outer():
    syncify(careful)()
when_started()
try:
    syncify(outer)()
except KeyboardInterrupt:
    say("interrupt")
"""
        )
    ).expect("finally endless", "cleaned", "interrupt", "None []")

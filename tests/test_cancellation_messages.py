"""`task.cancel(msg)` takes any object for its message: what it is decides nothing."""

from __future__ import annotations

import asyncio

import pytest
from anyio.lowlevel import checkpoint

from gllm_core.concurrency import asyncify
from handshakes import WAIT_S, Gate
from marks import every_lazy_asyncio

pytestmark = pytest.mark.anyio


class Unspeakable:
    """It cannot be turned into text."""

    def __str__(self) -> str:
        raise LookupError

    __repr__ = __str__


@every_lazy_asyncio
@pytest.mark.parametrize("message", ["asked for by the cancel scope's owner", Unspeakable(), b"cancel scope", None])
async def test_a_message_decides_nothing(message: object) -> None:
    """With whatever message, the awaiter stays, and is cancelled then; the function's error does not go first. proves: A5"""
    gate = Gate(ValueError())
    task = asyncio.ensure_future(asyncify(gate)())
    await gate.running()
    task.cancel(message)
    for _ in range(5):
        await checkpoint()
    stayed = not task.done()
    gate.leave.set()
    await asyncio.wait([task], timeout=WAIT_S)
    assert (stayed, task.cancelled()) == (True, True)

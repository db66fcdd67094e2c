"""The ways in which an awaiter is cancelled: each awaits *function* in a task, and cancels it once *ready* has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from ..model import Async
from ..scene import call_once

Task = asyncio.Future[Any]
Ready = Callable[[], Awaitable[None]]
Way = Callable[[Async, Ready], Awaitable[Task]]


async def native(function: Async, ready: Ready) -> Task:
    task = asyncio.ensure_future(call_once(function))
    await ready()
    task.cancel()
    return task


async def timeout_of_asyncio(function: Async, ready: Ready) -> Task:
    reached: asyncio.Future[asyncio.Timeout] = asyncio.get_running_loop().create_future()

    async def run() -> Any:
        try:
            async with asyncio.timeout(None) as timeout:
                reached.set_result(timeout)
                value = await function()
                await checkpoints()
                return value
        except TimeoutError:
            raise asyncio.CancelledError from None

    task = asyncio.ensure_future(run())
    timeout = await reached
    await ready()
    timeout.reschedule(asyncio.get_running_loop().time())
    return task


async def scope_of_anyio(function: Async, ready: Ready) -> Task:
    scope = anyio.CancelScope()

    async def run() -> Any:
        with scope:
            value = await function()
            await checkpoints()
            return value
        raise asyncio.CancelledError

    task = asyncio.ensure_future(run())
    await ready()
    scope.cancel()
    return task


async def checkpoints() -> None:
    for _ in range(3):
        await asyncio.sleep(0)

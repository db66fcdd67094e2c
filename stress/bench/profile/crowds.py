"""What many calls at once need, step by step: tasks, tokens that they wait for, and then what one call needs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack

from anyio import CapacityLimiter

from ..async_workloads import nothing
from ..clocks import Async
from . import threads


def crowd_steps(stack: ExitStack, runner: asyncio.Runner, tokens: int) -> Iterator[tuple[str, Async]]:
    """To be called by many tasks at once, *tokens* of which may be at work at a time. From the bottom up."""
    loop = runner.get_loop()

    async def limiter() -> CapacityLimiter:
        """Made where a loop runs: elsewhere AnyIO puts a layer between, which looks for the loop at each use."""
        return CapacityLimiter(tokens)

    async def turn() -> None:
        await asyncio.sleep(0)

    shared = runner.run(limiter())

    async def turn_with_token() -> None:
        borrower = object()
        if not threads.take_free(shared, borrower):
            await shared.acquire_on_behalf_of(borrower)
        try:
            await asyncio.sleep(0)
        finally:
            shared.release_on_behalf_of(borrower)

    yield "a task, which lets the loop turn once", turn
    yield f"+ one of {tokens} tokens of AnyIO's, waited for", turn_with_token
    yield "+ a thread that does the work, instead of the turn", threads.with_token(stack, loop, nothing, shared)
    yield "+ a copy of the context, arguments, an outcome", threads.with_record(stack, loop, nothing, shared)
    yield "+ what `anyio.from_thread` needs", threads.with_way_back(stack, loop, nothing, shared)

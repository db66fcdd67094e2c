"""What cancels a scope or a stream from inside, while its consumer's code runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio

Made = Callable[[], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def limited() -> AsyncIterator[None]:
    """Takes its own cancellation."""
    with anyio.move_on_after(0):
        yield


@asynccontextmanager
async def deadline() -> AsyncIterator[None]:
    """Makes TimeoutError of it."""
    with anyio.fail_after(0):
        yield


def group_whose_child_raises(error: Exception) -> Made:
    """Makes an ExceptionGroup of it, with *error* in it, and nothing else."""

    async def fails() -> None:
        raise error

    @asynccontextmanager
    async def group() -> AsyncIterator[None]:
        async with anyio.create_task_group() as children:
            children.start_soon(fails)
            yield

    return group

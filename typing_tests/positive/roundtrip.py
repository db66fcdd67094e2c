"""There and back, and what async libraries do with the results."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, assert_type

import anyio
import anyio.from_thread

from gllm_core.concurrency import (
    BlockedLoopWarning,
    PortalNotRunningError,
    ReentrantCallWarning,
    asyncify,
    get_default_portal,
    syncify,
)


def work(x: int, /) -> str: ...
async def async_work(x: int, /) -> str: ...
def named(key: str, size: int = 1, *more: float, flag: bool = False) -> bytes: ...
async def async_named(key: str, size: int = 1, *more: float, flag: bool = False) -> bytes: ...


async def there_and_back() -> None:
    assert_type(work, Callable[[int], str])
    assert_type(syncify(asyncify(work)), Callable[[int], str])
    assert_type(syncify(asyncify(work, cancellable=True), portal=get_default_portal()), Callable[[int], str])
    assert_type(syncify(asyncify(named))("k", 1, 2.0, flag=True), bytes)
    assert_type(asyncify(syncify(async_work)), Callable[[int], Coroutine[Any, Any, str]])
    assert_type(await asyncify(syncify(async_named))("k", 1, 2.0, flag=True), bytes)
    assert_type(await asyncify(syncify(asyncify(work)))(1), str)


async def with_asyncio() -> None:
    task = asyncio.create_task(asyncify(named)("k"))
    assert_type(task, asyncio.Task[bytes])
    assert_type(await task, bytes)
    assert_type(await asyncio.gather(asyncify(work)(1), asyncify(work)(2)), tuple[str, str])
    assert_type(await asyncio.wait_for(asyncify(work)(1), 1), str)
    assert_type(await asyncio.shield(asyncify(work)(1)), str)
    assert_type(asyncio.ensure_future(asyncify(work)(1)), asyncio.Task[str])
    async with asyncio.TaskGroup() as group:
        assert_type(group.create_task(asyncify(work)(1)), asyncio.Task[str])


def with_runners() -> None:
    assert_type(asyncio.run(asyncify(work)(1)), str)
    assert_type(anyio.run(asyncify(work), 1), str)
    assert_type(anyio.from_thread.run(asyncify(work), 1), str)


async def with_anyio() -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(asyncify(work), 1)
        group.start_soon(asyncify(work, cancellable=True), 1)
    assert_type(await anyio.to_thread.run_sync(syncify(async_work), 1), str)


def takes_awaitable(value: Awaitable[str]) -> str: ...
def takes_coroutine(value: Coroutine[Any, Any, str]) -> str: ...
def takes_async_callable(func: Callable[[int], Awaitable[str]]) -> str: ...


def accepted_where_async_is_wanted() -> None:
    assert_type(takes_awaitable(asyncify(work)(1)), str)
    assert_type(takes_coroutine(asyncify(work)(1)), str)
    assert_type(takes_async_callable(asyncify(work)), str)


def error_classes(error: PortalNotRunningError, reentrant: ReentrantCallWarning, blocked: BlockedLoopWarning) -> None:
    runtime_errors: list[type[RuntimeError]] = [PortalNotRunningError]
    warnings: list[type[RuntimeWarning]] = [ReentrantCallWarning, BlockedLoopWarning]
    assert_type(runtime_errors[0], type[RuntimeError])
    assert_type(warnings[0], type[RuntimeWarning])
    assert_type(error.args, tuple[Any, ...])
    assert_type(is_runtime_error(error), bytes)
    assert_type(is_runtime_warning(reentrant), bytes)
    assert_type(is_runtime_warning(blocked), bytes)
    try:
        syncify(async_work)(1)
    except PortalNotRunningError as caught:
        assert_type(caught, PortalNotRunningError)


def is_runtime_error(error: RuntimeError) -> bytes: ...
def is_runtime_warning(warning: RuntimeWarning) -> bytes: ...

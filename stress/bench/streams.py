"""Workloads of streams and scopes: ours, the peers, and one call per item."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager
from typing import Any

from anyio import to_thread

from gllm_core.concurrency import (
    asyncify,
    asyncify_context,
    asyncify_iterator,
    get_default_portal,
    syncify,
    syncify_context,
    syncify_iterator,
)

from . import peers
from .clocks import now
from .loops import loop_in_thread
from .model import Candidate, Role, Workload

LONG = 100_000
"""Items of one stream, where a stream is to be long."""
END: Any = object()

Opened = Callable[[], AbstractContextManager[list[Candidate]]]
Blocking = Callable[[int], Iterator[int]]
Async = Callable[[int], AsyncIterator[int]]


def numbers(to: int) -> Iterator[int]:
    yield from range(to)


async def async_numbers(to: int) -> AsyncIterator[int]:
    for number in range(to):
        yield number


@contextmanager
def scope() -> Iterator[None]:
    yield


@asynccontextmanager
async def async_scope() -> AsyncIterator[None]:
    yield


def _drained(stream: Blocking, n: int) -> float:
    started = now()
    count = sum(1 for _ in stream(n))
    took_s = now() - started
    if count != n:
        raise RuntimeError(f"{count} items of {n}")
    return took_s


async def _awaited(stream: Async, n: int) -> float:
    started, count = now(), 0
    async for _ in stream(n):
        count += 1
    took_s = now() - started
    if count != n:
        raise RuntimeError(f"{count} items of {n}")
    return took_s


def _blocking_streams(loop: asyncio.AbstractEventLoop) -> Iterator[tuple[str, Role, Blocking]]:
    """From an async generator to a plain one. Ours is first."""
    yield "syncify_iterator", "ours", syncify_iterator(async_numbers)
    if synchronicity := peers.module("synchronicity"):
        yield "synchronicity", "peer", synchronicity.Synchronizer().create_blocking(async_numbers)
    following: Callable[..., Any] = syncify(anext)  # an overloaded builtin
    yield "syncify, item by item", "peer", _item_by_item(lambda items: following(items, END))
    portal = get_default_portal()
    yield "BlockingPortal.call, item by item", "peer", _item_by_item(lambda items: portal.call(_next, items))
    yield (
        "run_coroutine_threadsafe, item by item",
        "peer",
        _item_by_item(lambda items: asyncio.run_coroutine_threadsafe(_next(items), loop).result()),
    )


async def _next(items: AsyncIterator[int]) -> Any:
    return await anext(items, END)


def _item_by_item(following: Callable[[AsyncIterator[int]], Any]) -> Blocking:
    def stream(to: int) -> Iterator[int]:
        items = async_numbers(to)
        while (item := following(items)) is not END:
            yield item

    return stream


def _async_streams() -> Iterator[tuple[str, Role, Async]]:
    """From a plain generator to an async one. Ours is first."""
    yield "asyncify_iterator", "ours", asyncify_iterator(numbers)
    if starlette := peers.module("starlette.concurrency"):
        yield "Starlette iterate_in_threadpool", "peer", lambda to: starlette.iterate_in_threadpool(numbers(to))
    following = asyncify(next)
    yield "asyncify, item by item", "peer", _awaited_item_by_item(lambda items: following(items, END))
    yield "anyio.to_thread.run_sync, item by item", "peer", _awaited_item_by_item(lambda i: to_thread.run_sync(next, i, END))
    yield "asyncio.to_thread, item by item", "peer", _awaited_item_by_item(lambda items: asyncio.to_thread(next, items, END))


def _awaited_item_by_item(following: Callable[[Iterator[int]], Any]) -> Async:
    async def stream(to: int) -> AsyncIterator[int]:
        items = numbers(to)
        while (item := await following(items)) is not END:
            yield item

    return stream


@contextmanager
def blocking_streams() -> Iterator[list[Candidate]]:
    with ExitStack() as stack:
        loop = stack.enter_context(loop_in_thread())
        yield [Candidate(name, role, functools.partial(_drained, it)) for name, role, it in _blocking_streams(loop)]


@contextmanager
def async_streams() -> Iterator[list[Candidate]]:
    with asyncio.Runner() as runner:

        def measure(stream: Async, n: int) -> float:
            return runner.run(_awaited(stream, n))

        yield [Candidate(name, role, functools.partial(measure, stream)) for name, role, stream in _async_streams()]


def long(opened: Opened) -> Opened:
    """Ours alone: the others would take minutes, and are measured in the shorter ones."""

    @contextmanager
    def one() -> Iterator[list[Candidate]]:
        with opened() as candidates:
            yield candidates[:1]

    return one


@contextmanager
def blocking_scopes() -> Iterator[list[Candidate]]:
    portal = get_default_portal()
    ours = syncify_context(async_scope)

    def measure(open_scope: Callable[[], AbstractContextManager[Any]], n: int) -> float:
        started = now()
        for _ in range(n):
            with open_scope():
                pass
        return now() - started

    ways: list[tuple[str, Role, Callable[[], AbstractContextManager[Any]]]] = [
        ("syncify_context", "ours", ours),
        ("AnyIO wrap_async_context_manager", "peer", lambda: portal.wrap_async_context_manager(async_scope())),
    ]
    yield [Candidate(name, role, functools.partial(measure, way)) for name, role, way in ways]


@contextmanager
def async_scopes() -> Iterator[list[Candidate]]:
    """AnyIO has no scopes in this direction: its peer enters and leaves on whichever thread comes up."""
    ours = asyncify_context(scope)

    @asynccontextmanager
    async def by_calls() -> AsyncIterator[None]:
        manager = scope()
        await to_thread.run_sync(manager.__enter__)
        try:
            yield
        finally:
            await to_thread.run_sync(manager.__exit__, None, None, None)

    async def enter_and_leave(open_scope: Callable[[], Any], n: int) -> float:
        started = now()
        for _ in range(n):
            async with open_scope():
                pass
        return now() - started

    with asyncio.Runner() as runner:

        def measure(open_scope: Callable[[], Any], n: int) -> float:
            return runner.run(enter_and_leave(open_scope, n))

        yield [
            Candidate("asyncify_context", "ours", functools.partial(measure, ours)),
            Candidate("anyio.to_thread.run_sync, twice", "peer", functools.partial(measure, by_calls)),
        ]


WORKLOADS = [
    Workload("syncify-stream", "an item of an async stream, read by blocking code", blocking_streams, grain=100),
    Workload("asyncify-stream", "an item of a blocking stream, read by async code", async_streams, grain=100),
    Workload(
        "syncify-stream-100000",
        f"the same, {LONG:,} items long",
        long(blocking_streams),
        LONG,
        grow=False,
        settings=("pinned",),
    ),
    Workload(
        "asyncify-stream-100000", f"the same, {LONG:,} items long", long(async_streams), LONG, grow=False, settings=("pinned",)
    ),
    Workload("syncify-scope", "an async context manager, entered and left by blocking code", blocking_scopes),
    Workload("asyncify-scope", "a blocking context manager, entered and left by async code", async_scopes),
]

"""From a coroutine to blocking code: ours, the peers and the floor, each as an async function to be awaited."""

from __future__ import annotations

import asyncio
import functools
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from anyio import CapacityLimiter, to_thread

from gllm_core.concurrency import asyncify

from . import peers
from .clocks import Async, Sync
from .model import Role


@dataclass(frozen=True, slots=True)
class Awaiter:
    name: str
    role: Role
    call: Async


def awaiters(loop: asyncio.AbstractEventLoop, func: Sync) -> Iterator[Awaiter]:
    """All ways there are to run *func* on a thread for *loop*, with the bounds that each has by default. Ours is first."""
    yield Awaiter("asyncify", "ours", asyncify(func))
    yield Awaiter("anyio.to_thread.run_sync", "peer", functools.partial(to_thread.run_sync, func))
    yield Awaiter("asyncio.to_thread", "peer", functools.partial(asyncio.to_thread, func))
    yield Awaiter("loop.run_in_executor", "peer", functools.partial(loop.run_in_executor, None, func))
    if asgiref := peers.module("asgiref.sync"):
        yield Awaiter("asgiref sync_to_async", "peer", asgiref.sync_to_async(func, thread_sensitive=False))
    if asyncer := peers.module("asyncer"):
        yield Awaiter("asyncer.asyncify", "peer", asyncer.asyncify(func))
    if aiomisc := peers.module("aiomisc"):
        yield Awaiter("aiomisc.threaded", "peer", aiomisc.threaded(func))


def limited_awaiters(loop: asyncio.AbstractEventLoop, func: Sync, tokens: int) -> Iterator[Awaiter]:
    """Those that can bound how many functions run at once, bounded to *tokens*."""
    yield Awaiter("asyncify", "ours", asyncify(func, limiter=CapacityLimiter(tokens)))
    limiter = CapacityLimiter(tokens)
    yield Awaiter("anyio.to_thread.run_sync", "peer", functools.partial(to_thread.run_sync, func, limiter=limiter))
    if asyncer := peers.module("asyncer"):
        yield Awaiter("asyncer.asyncify", "peer", asyncer.asyncify(func, limiter=CapacityLimiter(tokens)))
    executor = ThreadPoolExecutor(tokens, thread_name_prefix="bench-executor")
    yield Awaiter("loop.run_in_executor", "peer", functools.partial(loop.run_in_executor, executor, func))
    semaphore = asyncio.Semaphore(tokens)

    async def behind_semaphore() -> object:
        async with semaphore:
            return await asyncio.to_thread(func)

    yield Awaiter("asyncio.to_thread + semaphore", "peer", behind_semaphore)


def trio_awaiters(func: Sync) -> Iterator[Awaiter]:
    yield Awaiter("asyncify", "ours", asyncify(func))
    yield Awaiter("anyio.to_thread.run_sync", "peer", functools.partial(to_thread.run_sync, func))
    yield Awaiter("trio.to_thread.run_sync", "peer", functools.partial(peers.module("trio").to_thread.run_sync, func))


@contextmanager
def thread_by_queue(loop: asyncio.AbstractEventLoop, func: Sync) -> Iterator[Awaiter]:
    """The least that a call to a thread needs: a queue there, a wake-up back. No limiter, no context, no cancellation."""
    inbox: queue.SimpleQueue[asyncio.Future[object] | None] = queue.SimpleQueue()

    def work() -> None:
        while (future := inbox.get()) is not None:
            loop.call_soon_threadsafe(_set_result, future, func())

    def call() -> asyncio.Future[Any]:
        future = loop.create_future()
        inbox.put(future)
        return future

    thread = threading.Thread(target=work, name="bench-queue", daemon=True)
    thread.start()
    try:
        yield Awaiter("floor: SimpleQueue + call_soon_threadsafe", "floor", call)
    finally:
        inbox.put(None)
        thread.join()


def _set_result(future: asyncio.Future[object], result: object) -> None:
    future.set_result(result)


Awaiters = Callable[[asyncio.AbstractEventLoop, Sync], Iterator[Awaiter]]

"""Streams that are left while they produce, or whose loop or portal goes."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import CancelledError
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread

from gllm_core.concurrency.testing.explore import calm

from .calls import about_to_stop
from .model import scenario, together

THREAD = ("_carrier_thread", "_carrier_thread_steps", "_asyncify_streams")
TASK = ("_carrier_task", "_carrier_task_steps", "_dispatch", "_syncify_streams")


class _Source:
    """Counts its steps, and notes that it was closed."""

    def __init__(self) -> None:
        self.made = 0
        self.closed = 0

    def items(self) -> Iterator[int]:
        try:
            while True:
                self.made += 1
                yield self.made
        finally:
            self.closed += 1

    async def async_items(self) -> AsyncIterator[int]:
        try:
            while True:
                self.made += 1
                await anyio.lowlevel.checkpoint()
                yield self.made
        finally:
            self.closed += 1


def _free() -> bool:
    return anyio.to_thread.current_default_thread_limiter().borrowed_tokens == 0


@scenario(*THREAD, preemptions=2, quick=True)
def stream_that_is_left() -> None:
    """A blocking stream is closed after its first item: its source is closed, once, and the token is free."""
    from gllm_core.concurrency import asyncify, asyncify_iterator

    source = _Source()

    async def main() -> None:
        stream: Any = asyncify_iterator(source.items)()
        async with contextlib.aclosing(stream):
            assert await anext(stream) == 1
        assert (source.made, source.closed) == (1, 1)
        assert _free()

    with calm():
        anyio.run(asyncify(int))
    anyio.run(main)


@scenario(*THREAD, preemptions=2, quick=True)
def stream_cancelled_while_it_produces() -> None:
    """The consumer is cancelled as an item is produced: the source is closed, and the token is free."""
    from gllm_core.concurrency import asyncify, asyncify_iterator

    source = _Source()

    async def main() -> None:
        with anyio.CancelScope() as scope:
            asyncio.get_running_loop().call_soon(scope.cancel)
            async with contextlib.aclosing(asyncify_iterator(source.items)()) as stream:  # type: ignore[type-var]
                async for _ in stream:
                    await anyio.lowlevel.checkpoint()
        assert source.closed == 1
        assert _free()

    with calm():
        anyio.run(asyncify(int))
    anyio.run(main)


@scenario(*THREAD, "_delivery", preemptions=2, quick=True)
def stream_whose_loop_is_closed() -> None:
    """The loop is closed under a blocking stream that produces: the source is closed, and its thread is free."""
    from gllm_core.concurrency import _workers, asyncify, asyncify_iterator

    source = _Source()

    async def consume() -> None:
        async for _ in asyncify_iterator(source.items)():
            pass

    with calm():
        anyio.run(asyncify(int))
        loop = asyncio.new_event_loop()
        task = loop.create_task(consume())
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        loop.call_soon(loop.call_soon, loop.stop)
    loop.run_forever()
    loop.close()
    del task, loop
    with calm():
        anyio.run(anyio.sleep, 1)
        gc.collect()  # which is off in an exploration
        anyio.run(anyio.sleep, 1)
        assert source.closed == 1, source.closed
        assert len(_workers._idle) == 1


@scenario(*THREAD, preemptions=2, quick=True)
def scope_that_is_cancelled() -> None:
    """A blocking context manager is entered while its awaiter is cancelled: what was entered is left."""
    from gllm_core.concurrency import asyncify, asyncify_context

    entered: list[int] = []

    @contextlib.contextmanager
    def manager() -> Iterator[None]:
        entered.append(1)
        try:
            yield
        finally:
            entered.pop()

    async def main() -> None:
        with anyio.CancelScope() as scope:
            asyncio.get_running_loop().call_soon(scope.cancel)
            async with asyncify_context(manager)():
                assert entered == [1]
        assert entered == []
        assert _free()

    with calm():
        anyio.run(asyncify(int))
    anyio.run(main)


@scenario(*TASK, preemptions=2, quick=True)
def async_stream_that_is_left() -> None:
    """An asynchronous stream is closed after its first item: its source is closed, once, and its task is over."""
    from gllm_core.concurrency import in_flight, syncify, syncify_iterator

    source = _Source()
    with calm():
        syncify(anyio.sleep)(0)
    stream: Any = syncify_iterator(source.async_items)()
    assert next(stream) == 1
    stream.close()
    assert (source.made, source.closed) == (1, 1)
    assert in_flight() == ()


@scenario(*TASK, actors=3, quick=True)
def async_stream_cancelled_below_a_thread() -> None:
    """The consumer of a stream through a thread and a portal is cancelled at some step's beginning or end: both are closed, in
    peace, and nothing but its cancellation comes out.
    """
    from gllm_core.concurrency import asyncify, asyncify_iterator, in_flight, syncify, syncify_iterator

    source = _Source()

    async def main() -> None:
        with anyio.CancelScope() as scope:
            through: Any = asyncify_iterator(syncify_iterator(source.async_items))()
            async with contextlib.aclosing(through):
                with calm():
                    assert await anext(through) == 1
                asyncio.get_running_loop().call_soon(scope.cancel)
                async for _ in through:
                    await anyio.lowlevel.checkpoint()
        assert scope.cancelled_caught
        assert source.closed == 1
        assert in_flight() == ()
        assert _free()

    with calm():
        syncify(anyio.sleep)(0)
        anyio.run(asyncify(int))
    anyio.run(main)


@scenario(*TASK, preemptions=2, quick=True)
def async_stream_against_stop() -> None:
    """The portal is being stopped while a stream produces there: it ends, with the source closed."""
    from gllm_core.concurrency import PortalNotRunningError, get_default_portal, syncify, syncify_iterator

    source = _Source()
    with calm():
        syncify(anyio.sleep)(0)
        portal = get_default_portal()
        stream: Any = syncify_iterator(source.async_items, portal=portal)()
        assert next(stream) == 1
        about_to_stop(portal)
    with contextlib.suppress(PortalNotRunningError):
        next(stream)
    stream.close()
    assert source.closed == 1


@scenario(*TASK, preemptions=2, quick=True)
def async_stream_against_a_stop_that_cancels() -> None:
    """The same where the stop cancels what runs."""
    from gllm_core.concurrency import PortalNotRunningError, get_default_portal, syncify, syncify_iterator

    source = _Source()
    with calm():
        syncify(anyio.sleep)(0)
        portal = get_default_portal()
        stream: Any = syncify_iterator(source.async_items, portal=portal)()
        assert next(stream) == 1
        about_to_stop(portal, cancel_remaining=True)
    with contextlib.suppress(PortalNotRunningError, CancelledError):
        next(stream)
    with contextlib.suppress(CancelledError):
        stream.close()
    assert source.closed == 1


@scenario(*TASK, preemptions=2, quick=True)
def async_stream_against_crash() -> None:
    """The portal's loop is stopped by a callback while a stream produces there: the consumer does not wait for ever."""
    from gllm_core.concurrency import PortalNotRunningError, get_default_portal, syncify, syncify_iterator

    async def loop_here() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    source = _Source()
    with calm():
        syncify(anyio.sleep)(0)
        stream: Any = syncify_iterator(source.async_items)()
        assert next(stream) == 1
        loop = get_default_portal().call(loop_here)
        loop.call_soon_threadsafe(loop.stop)
    with contextlib.suppress(PortalNotRunningError, CancelledError):
        next(stream)
    with contextlib.suppress(PortalNotRunningError, CancelledError):
        stream.close()


@scenario("_carrier_task", actors=3)
def two_async_streams_on_one_portal() -> None:
    """Two threads consume streams on one portal: each has its own items."""
    from gllm_core.concurrency import syncify, syncify_iterator

    def consume() -> None:
        source = _Source()
        with contextlib.closing(syncify_iterator(source.async_items)()) as stream:  # type: ignore[type-var]
            assert next(stream) == 1
        assert source.closed == 1

    with calm():
        syncify(anyio.sleep)(0)
    together(consume, consume)

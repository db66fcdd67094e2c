"""Streams and scopes in trouble: cancellations of both kinds, threads that cannot start, loops and portals that go away."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager, suppress
from typing import Any

import anyio
import pytest
from anyio import CapacityLimiter, to_thread
from anyio.from_thread import start_blocking_portal
from anyio.lowlevel import checkpoint

from gllm_core.concurrency import (
    _workers,
    asyncify,
    asyncify_context,
    asyncify_iterator,
    syncify,
    syncify_iterator,
)
from handshakes import WAIT_S, Gate, all_tokens_come_back, happened, turns, waiting
from marks import asyncio_only, every_lazy_asyncio
from outcomes import outcome_of_awaiting


class Source:
    """A blocking stream of what *gate* gives, and whether, and where, it was closed."""

    def __init__(self, gate: Gate) -> None:
        self.gate, self.closed, self.closed_on = gate, threading.Event(), list[threading.Thread]()

    def __call__(self) -> Iterator[str]:
        try:
            while True:
                yield self.gate()
        finally:
            self.closed_on.append(threading.current_thread())
            self.closed.set()


@pytest.mark.anyio
async def test_an_error_that_meets_the_cancellation_goes_first() -> None:
    """An error of a source whose consumer is cancelled reaches it, and the cancellation comes after it. proves: I4, A5"""
    error, reached = ValueError("in production"), list[object]()
    source = Source(Gate(error))

    async def consume() -> None:
        async with aclosing(asyncify_iterator(source)()) as stream:
            reached.append(await outcome_of_awaiting(lambda: anext(stream)))
            await checkpoint()
            reached.append("not cancelled")

    async with anyio.create_task_group() as group:
        group.start_soon(consume)
        await source.gate.running()
        group.cancel_scope.cancel()
        source.gate.leave.set()
    assert reached == [("error", error)]
    assert to_thread.current_default_thread_limiter().borrowed_tokens == 0


@pytest.mark.anyio
@every_lazy_asyncio
async def test_a_native_cancellation_beside_a_cancelled_scope_is_not_swallowed() -> None:
    """With both a scope and the task cancelled in production, the scope does not take the task's own for its. proves: I3, A5"""
    source, scopes = Source(Gate()), list[anyio.CancelScope]()

    async def consume() -> None:
        with anyio.CancelScope() as scope:
            scopes.append(scope)
            async for _ in asyncify_iterator(source)():
                raise AssertionError("the item came after the cancellation")
        await checkpoint()
        raise AssertionError("the native cancellation was lost")

    task = asyncio.ensure_future(consume())
    await source.gate.running()
    scopes[0].cancel()
    task.cancel()
    await turns()
    assert not task.done()
    source.gate.leave.set()
    await asyncio.wait([task], timeout=WAIT_S)
    assert task.cancelled()
    await happened(source.closed)
    assert source.closed_on == [source.gate.thread]


@pytest.mark.anyio
@asyncio_only
async def test_a_coroutine_that_is_closed_as_it_enters_frees_the_thread() -> None:
    """A scope whose coroutine is closed in mid-step gives thread and token back when the step is over. proves: I3, A3"""
    gate, limiter = Gate(), CapacityLimiter(1)

    @asyncify_context(limiter=limiter)
    @contextmanager
    def slow() -> Iterator[str]:
        yield gate()

    context = slow()
    coroutine: Any = context.__aenter__()
    coroutine.send(None)
    await gate.running()
    coroutine.close()
    assert limiter.borrowed_tokens == 1
    del context, coroutine
    gate.leave.set()
    await all_tokens_come_back(limiter)


@pytest.mark.anyio
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
async def test_a_stream_that_is_left_on_a_borrowed_token_takes_it_for_its_end_again(backend: Any) -> None:
    """Below a lent token, a stream that is left between two items closes its source, on its own thread. proves: I2, I3, A13"""
    gate = Gate()
    gate.leave.set()
    source, limiter = Source(gate), to_thread.current_default_thread_limiter()

    async def first() -> str:
        to_thread.current_default_thread_limiter().total_tokens = 1
        async with aclosing(asyncify_iterator(source)()) as stream:
            return await anext(stream)

    def below() -> str:
        with start_blocking_portal(backend) as portal:

            async def outer() -> str:
                to_thread.current_default_thread_limiter().total_tokens = 1
                return await asyncify(lambda: syncify(first, portal=portal)())()

            return syncify(outer, portal=portal)()

    assert await to_thread.run_sync(below) == "through"
    assert source.closed_on == [gate.thread]
    assert limiter.borrowed_tokens == 0


@pytest.mark.anyio
@asyncio_only
async def test_a_stream_that_is_queued_when_no_thread_can_be_started_gets_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that another call's thread was to send one for raises why it did not, and frees its token. proves: I4, A3"""
    gate, source, limiter, run = Gate(), Source(Gate()), CapacityLimiter(1), _workers._run
    begun = threading.Event()

    def held_up() -> None:
        assert begun.wait(WAIT_S)
        run()

    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_workers, "_idle", [])
    monkeypatch.setattr(_workers, "_run", held_up)
    async with anyio.create_task_group() as group:
        group.start_soon(asyncify(gate, limiter=CapacityLimiter(1)))
        await turns()
        monkeypatch.setattr(threading.Thread, "start", refuse)
        stream = asyncify_iterator(source, limiter=limiter)()
        step = asyncio.ensure_future(outcome_of_awaiting(lambda: anext(stream)))
        await turns()
        begun.set()
        await asyncio.wait([step], timeout=WAIT_S)
        monkeypatch.undo()
        gate.leave.set()
    kind, error = step.result()
    assert (kind, type(error), str(error)) == ("error", RuntimeError, "can't start new thread")
    assert limiter.borrowed_tokens == 0
    assert not source.gate.entered.acquire(blocking=False)


def test_below_an_explicit_limiter_no_step_lends_the_token() -> None:
    """A stream read below a function on an explicit limiter gives its items; its source cannot use that token. proves: A13"""
    limiter, done = CapacityLimiter(1), threading.Event()
    tasks: list[asyncio.Task[None]] = []

    async def source() -> AsyncIterator[bool]:
        tasks.append(asyncio.ensure_future(asyncify(done.set, limiter=limiter)()))
        await waiting(limiter)
        yield done.is_set()

    async def main() -> list[bool]:
        return await asyncify(lambda: list(syncify_iterator(source)()), limiter=limiter)()

    assert anyio.run(main) == [False]
    assert done.wait(WAIT_S)


class Caught(Exception):
    """What the sources below end at."""


def ends_at_it() -> Iterator[int]:
    with suppress(Caught):
        yield 1


async def ends_at_it_async() -> AsyncIterator[int]:
    with suppress(Caught):
        yield 1


@pytest.mark.anyio
async def test_a_source_that_ends_at_what_is_thrown_into_it_ends_the_stream() -> None:
    """An error of the consumer that a source takes for its end ends the stream, as `yield from` would. proves: I4"""
    async with aclosing(asyncify_iterator(ends_at_it)()) as stream:
        assert await anext(stream) == 1
        with pytest.raises(StopAsyncIteration):
            await stream.athrow(Caught())


def test_an_async_source_that_ends_at_what_is_thrown_into_it_ends_the_stream() -> None:
    """The same in the other direction. proves: I4"""
    stream = syncify_iterator(ends_at_it_async)()
    assert next(stream) == 1
    with pytest.raises(StopIteration):
        stream.throw(Caught())

"""asyncify_iterator: a blocking stream on one worker thread, item by item."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import aclosing
from typing import Any

import anyio
import pytest
from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import checkpoint

from deaths import Deaths
from gllm_core.concurrency import asyncify, asyncify_iterator
from handshakes import WAIT_S, Gate, all_tokens_come_back, happened
from marks import every_lazy_asyncio
from outcomes import outcome_of_awaiting

pytestmark = pytest.mark.anyio


class Boom(Exception):
    """An exception that can be referred to weakly."""


class Source:
    """A blocking generator that says what it has produced, where, and that it was closed."""

    def __init__(self, gate: Callable[[], object] = int) -> None:
        self.produced: list[int] = []
        self.threads: set[int] = set()
        self.thrown: list[BaseException] = []
        self.closed = threading.Event()
        self._gate = gate

    def __call__(self, count: int) -> Iterator[int]:
        try:
            for number in range(count):
                self.threads.add(threading.get_ident())
                self._gate()
                self.produced.append(number)
                try:
                    yield number
                except Boom as error:
                    self.thrown.append(error)
        finally:
            self.threads.add(threading.get_ident())
            self.closed.set()


def limiter_here() -> CapacityLimiter:
    return to_thread.current_default_thread_limiter()


def test_the_wrapper_looks_like_the_function() -> None:
    """The result is an async generator function with the name, doc and signature of the function. proves: I1"""

    def numbers(to: int, /, *, step: int = 1) -> Iterator[int]:
        """Doc."""
        yield from range(0, to, step)

    wrapped = asyncify_iterator(numbers)
    assert inspect.isasyncgenfunction(wrapped)
    assert (wrapped.__name__, wrapped.__doc__, wrapped.__module__) == ("numbers", "Doc.", __name__)
    assert wrapped.__wrapped__ is numbers  # type: ignore[attr-defined] # set by functools.wraps
    assert inspect.signature(wrapped) == inspect.signature(numbers)


async def test_it_decorates_methods_with_and_without_options() -> None:
    """Bare and with options it decorates a method, which binds; a staticmethod stays one. proves: I1"""
    limiter = CapacityLimiter(1)

    class Numbers:
        @asyncify_iterator
        def bare(self, to: int) -> Iterator[Any]:
            yield from (self, to)

        @asyncify_iterator(limiter=limiter)
        def limited(self, to: int) -> Iterator[Any]:
            yield from (self, to, limiter.borrowed_tokens)

        static: Any = asyncify_iterator(staticmethod(range))

    owner = Numbers()
    assert [item async for item in owner.bare(3)] == [owner, 3]
    assert [item async for item in owner.limited(to=3)] == [owner, 3, 1]
    assert [item async for item in owner.static(3)] == [0, 1, 2]


async def test_an_item_is_produced_when_it_is_asked_for() -> None:
    """Items come in order, each once, and none is produced before the consumer asks for it. proves: I1"""
    source = Source()
    seen: list[int] = []
    async for item in asyncify_iterator(source)(20):
        assert source.produced == [*seen, item]
        await checkpoint()
        seen.append(item)
    assert seen == list(range(20))
    assert source.closed.is_set()


async def test_one_thread_and_one_context_carry_it() -> None:
    """Creation, every step and the `finally` block share a thread and one copy of the consumer's context. proves: I2"""
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=-1)
    variable.set(0)
    where: list[int] = []

    def counting() -> Iterator[int]:
        lock = threading.RLock()
        with lock:
            try:
                for _ in range(5):
                    variable.set(variable.get() + 1)
                    where.append(threading.get_ident())
                    yield variable.get()
            finally:
                where.append(threading.get_ident())

    seen: list[int] = []
    async for item in asyncify_iterator(counting)():
        await asyncify(threading.get_ident)()  # another function takes another thread
        seen.append(item)
    assert seen == [1, 2, 3, 4, 5]
    assert variable.get() == 0
    assert len(set(where)) == 1
    assert threading.get_ident() not in where


async def test_the_token_is_held_from_the_first_item_to_the_end() -> None:
    """A stream holds its token between its items, too, and frees it with its end. proves: I2, A3"""
    limiter = CapacityLimiter(1)
    stream = asyncify_iterator(limiter=limiter)(range)(3)
    assert limiter.borrowed_tokens == 0
    await anext(stream)
    assert limiter.borrowed_tokens == 1
    with anyio.move_on_after(0) as scope:
        await asyncify(int, limiter=limiter)()
    assert scope.cancelled_caught
    await stream.aclose()
    assert limiter.borrowed_tokens == 0


async def test_leaving_early_closes_the_source() -> None:
    """After `aclose` the source's `finally` block has run on its thread, and the token is free. proves: I3"""
    source = Source()
    async with aclosing(asyncify_iterator(source)(5)) as stream:
        async for item in stream:
            if item == 2:
                break
    assert source.closed.is_set()
    assert source.produced == [0, 1, 2]
    assert len(source.threads) == 1
    assert limiter_here().borrowed_tokens == 0


@pytest.mark.filterwarnings("ignore:Async generator .* was garbage collected:ResourceWarning")
async def test_a_dropped_stream_is_closed(deaths: Deaths) -> None:
    """A stream that a `break` or an exception drops is closed by the loop, without the collector. proves: I3"""
    stopped, failed = Source(), Source()
    async for _ in asyncify_iterator(stopped)(5):
        break

    async def fail() -> None:
        async for _ in asyncify_iterator(failed)(5):
            raise Boom

    assert (await outcome_of_awaiting(fail))[0] == "error"
    await happened(stopped.closed)
    await happened(failed.closed)
    await all_tokens_come_back(limiter_here())


def test_a_stream_of_a_closed_loop_is_closed() -> None:
    """A stream that outlives its loop is closed when it is dropped, and its thread is free. proves: I3"""
    source = Source()
    loop = asyncio.new_event_loop()
    streams = [asyncify_iterator(source)(5)]

    async def begin() -> int:  # below the loop's hooks, which do nothing once it is closed
        return await anext(streams[0])

    assert loop.run_until_complete(begin()) == 0
    loop.close()
    assert not source.closed.is_set()
    streams.clear()
    gc.collect()
    assert source.closed.wait(WAIT_S)
    assert len(source.threads) == 1


def test_the_end_of_a_run_closes_what_is_still_referred_to() -> None:
    """`asyncio.run` ends, and closes a stream that a global still refers to. proves: I3"""
    source = Source()
    streams = [asyncify_iterator(source)(5)]

    async def begin() -> int:
        return await anext(streams[0])

    assert asyncio.run(begin()) == 0
    assert source.closed.wait(WAIT_S)


async def test_an_error_of_the_source_is_the_same_object() -> None:
    """An exception reaches the consumer as the same object, its chain untouched, after the items before it. proves: I4"""
    cause, error = KeyError("cause"), Boom("error")

    def failing() -> Iterator[int]:
        yield 1
        raise error from cause

    seen: list[int] = []

    async def consume() -> None:
        async for item in asyncify_iterator(failing)():
            seen.append(item)

    try:
        raise RuntimeError("being handled by the consumer")
    except RuntimeError:
        with pytest.raises(Boom) as caught:
            await consume()
    assert seen == [1]
    assert caught.value is error
    assert (error.__cause__, error.__context__) == (cause, None)
    assert [entry.name for entry in caught.traceback][-1] == "failing"
    assert limiter_here().borrowed_tokens == 0


async def test_an_error_of_the_consumer_can_be_thrown_into_the_source() -> None:
    """`athrow` reaches the source as the same object, which may go on; an iterator without `throw` ends with it. proves: I4"""
    source, error = Source(), Boom()
    stream = asyncify_iterator(source)(3)
    assert await anext(stream) == 0
    assert await stream.athrow(error) == 1
    assert source.thrown == [error]
    assert [item async for item in stream] == [2]
    plain = asyncify_iterator(range)(3)
    assert await anext(plain) == 0
    with pytest.raises(Boom) as caught:
        await plain.athrow(error)
    assert caught.value is error
    assert limiter_here().borrowed_tokens == 0


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit, StopAsyncIteration])
async def test_base_exceptions_reach_the_consumer(kind: type[BaseException]) -> None:
    """Whatever the source raises is the consumer's; the thread lives on. proves: I4, A8"""
    error = kind()

    def failing() -> Iterator[int]:
        yield 1
        raise error

    stream = asyncify_iterator(failing)()
    await anext(stream)
    with pytest.raises((kind, RuntimeError)) as caught:
        await anext(stream)
    assert error in (caught.value, caught.value.__cause__)
    assert [item async for item in asyncify_iterator(range)(2)] == [0, 1]


async def test_a_cancelled_consumer_stays_until_the_item_is_there_and_closes_the_source() -> None:
    """Cancelled while an item is produced, the consumer leaves when production and `finally` blocks are done. proves: I3, A5"""
    gate = Gate()
    source = Source(gate)
    left: list[bool] = []

    async def consume() -> None:
        async with aclosing(asyncify_iterator(source)(3)) as stream:
            try:
                await anext(stream)
            finally:
                left.append(gate.left.is_set())

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(consume)
            await gate.running()
            scope.cancel()
            gate.leave.set()
    assert (left, scope.cancelled_caught) == ([True], True)
    assert source.closed.is_set()
    assert limiter_here().borrowed_tokens == 0


@every_lazy_asyncio
async def test_native_cancellations_are_not_lost() -> None:
    """`task.cancel()` in mid-production ends the task cancelled, after the source was closed, however often. proves: I3, A5"""
    gate = Gate()
    source = Source(gate)

    async def consume() -> None:
        async with aclosing(asyncify_iterator(source)(3)) as stream:
            await anext(stream)

    task = asyncio.ensure_future(consume())
    await gate.running()
    for _ in range(3):
        task.cancel()
        await checkpoint()
    assert not task.done()
    gate.leave.set()
    await asyncio.wait([task], timeout=WAIT_S)
    assert task.cancelled()
    assert source.closed.is_set()

"""asyncify_iterator, further: sources that never yield, tokens that do not come, nesting, refusals, references."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

import anyio
import pytest
from anyio import CapacityLimiter, to_thread
from anyio.from_thread import start_blocking_portal
from anyio.lowlevel import checkpoint

from deaths import Deaths
from gllm_core.concurrency import asyncify, asyncify_iterator, syncify, syncify_iterator
from handshakes import WAIT_S, Gate, waiting
from outcomes import outcome_of

pytestmark = pytest.mark.anyio


class Boom(Exception):
    """An exception that can be referred to weakly."""


async def first_of(stream: AsyncIterator[Any]) -> Any:
    return await anext(stream)


class Thing:
    """An item or an argument: it can be referred to weakly."""


async def test_a_source_that_never_yields_ends_with_the_cancellation_of_what_it_waits_for() -> None:
    """A source blocked in a syncified call is cancelled with its consumer, and closed. proves: I3, S7"""
    begun, closed = threading.Event(), threading.Event()

    async def endless() -> None:
        begun.set()
        await anyio.sleep_forever()

    def never() -> Iterator[int]:
        try:
            syncify(endless)()
            yield 1
        finally:
            closed.set()

    with anyio.fail_after(WAIT_S), anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(first_of, asyncify_iterator(never)())
            while not begun.is_set():
                await checkpoint()
            scope.cancel()
    assert scope.cancelled_caught
    assert closed.is_set()


async def test_a_source_that_polls_sees_the_cancellation() -> None:
    """`check_cancelled` inside the source sees the consumer's cancellation. proves: I3, A7"""
    begun = threading.Event()
    seen: list[BaseException] = []

    def polling() -> Iterator[int]:
        begun.set()
        try:
            while True:
                anyio.from_thread.check_cancelled()
        except BaseException as error:
            seen.append(error)
            raise
        yield 1

    with anyio.fail_after(WAIT_S), anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(first_of, asyncify_iterator(polling)())
            while not begun.is_set():
                await checkpoint()
            scope.cancel()
    assert scope.cancelled_caught
    assert [type(error) for error in seen] == [anyio.get_cancelled_exc_class()]


@pytest.mark.parametrize("in_production", [False, True])
async def test_closing_is_not_cancelled_by_what_came_before(in_production: bool) -> None:
    """A `finally` block may make syncified calls, though its consumer was cancelled. proves: I3"""
    done: list[str] = []
    gate = Gate()
    begun, turned = threading.Event(), threading.Event()

    async def rollback() -> None:
        begun.set()
        while not turned.is_set():
            await checkpoint()
        for _ in range(20):  # what was sent here by then arrives
            await checkpoint()
        done.append("rolled back")

    def transaction() -> Iterator[int]:
        try:
            yield 1
            gate()
            yield 2
        finally:
            syncify(rollback)()

    async def consume() -> None:
        async with aclosing(asyncify_iterator(transaction)()) as stream:
            await anext(stream)
            if in_production:
                await anext(stream)
            else:
                scope.cancel()
                await checkpoint()

    async def turn() -> None:
        """What was cancelled before would be cancelled again in each turn of its loop: there are some, meanwhile."""
        with anyio.move_on_after(WAIT_S, shield=True):
            while not begun.is_set():
                await checkpoint()
            for _ in range(20):
                await checkpoint()
        turned.set()

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(consume)
            group.start_soon(turn)
            if in_production:
                await gate.running()
                scope.cancel()
                gate.leave.set()
    assert scope.cancelled_caught
    assert done == ["rolled back"]


async def test_waiting_for_a_token_is_cancellable_and_the_source_never_begins() -> None:
    """A consumer that waits for a token leaves at once, and the function was never called. proves: I3, A4"""
    limiter, called = CapacityLimiter(1), list[int]()

    def source() -> list[int]:
        called.append(1)
        return called

    scope = anyio.CancelScope()

    async def cancel_once_it_waits() -> None:
        await waiting(limiter)
        scope.cancel()

    async with limiter, anyio.create_task_group() as group:
        group.start_soon(cancel_once_it_waits)
        with scope:
            await anext(asyncify_iterator(source, limiter=limiter)())
    assert scope.cancelled_caught
    assert called == []
    assert limiter.borrowed_tokens == 0


async def test_a_consumer_cancelled_before_asks_for_nothing() -> None:
    """A step is not begun by a consumer that is cancelled already. proves: I3, A4"""
    produced: list[int] = []

    def source() -> Iterator[int]:
        for number in range(5):
            produced.append(number)
            yield number

    with anyio.CancelScope() as scope:
        async with aclosing(asyncify_iterator(source)()) as stream:
            await anext(stream)
            scope.cancel()
            await anext(stream)
    assert scope.cancelled_caught
    assert produced == [0]


@pytest.mark.parametrize("depth", [1, 2, 5])
async def test_streams_through_streams_on_one_token(depth: int) -> None:
    """Streams nested in both directions go through, though each loop's default limiter has a single token. proves: I3, A13"""

    def down(left: int) -> Iterator[int]:
        if left == 0:
            yield from range(4)
        else:
            yield from syncify_iterator(across, portal=portal)(left)

    async def across(left: int) -> AsyncIterator[int]:
        to_thread.current_default_thread_limiter().total_tokens = 1
        async with aclosing(asyncify_iterator(down)(left - 1)) as stream:
            async for item in stream:
                yield item

    limiter = to_thread.current_default_thread_limiter()
    total, limiter.total_tokens = limiter.total_tokens, 1
    try:
        with start_blocking_portal() as portal:
            assert [item async for item in asyncify_iterator(down)(depth)] == [0, 1, 2, 3]
    finally:
        limiter.total_tokens = total
    assert limiter.borrowed_tokens == 0


async def test_nothing_is_kept(deaths: Deaths) -> None:
    """Argument, items and exception of a stream die with the consumer's last reference. proves: I3, A10"""

    def source(_: object) -> Iterator[Thing]:
        yield deaths.watch(Thing())
        yield deaths.watch(Thing())
        raise deaths.watch(Boom())

    try:
        async for item in asyncify_iterator(source)(deaths.watch(Thing())):
            del item
    except Boom:
        pass
    assert await to_thread.run_sync(deaths.all_soon)


async def test_an_item_is_the_consumers_alone(deaths: Deaths) -> None:
    """Between two items the stream does not keep the one it gave. proves: I3, A10"""
    async with aclosing(asyncify_iterator(map)(lambda _: deaths.watch(Thing()), range(3))) as stream:
        item = await anext(stream)
        del item
        assert deaths.all_at_once()


async def fetch() -> int:
    return 7


async def async_items() -> AsyncIterator[int]:
    yield 7


REFUSED: list[tuple[Any, str]] = [
    (fetch, "asyncify_iterator() got the coroutine function 'fetch'; await it directly"),
    (
        async_items,
        "asyncify_iterator() got the async generator function 'async_items'; iterate over it directly with 'async for'",
    ),
    (7, "asyncify_iterator() needs a callable, got 7; pass the function itself, not the result of a call"),
]


@pytest.mark.parametrize(("bad", "message"), REFUSED)
def test_what_cannot_work_is_refused_when_wrapping(bad: Any, message: str) -> None:
    """The message names the function and the remedy. proves: I1, A9"""
    kind, error = outcome_of(lambda: asyncify_iterator(bad))
    assert (kind, type(error), str(error)) == ("error", TypeError, message)
    kind, error = outcome_of(lambda: asyncify_iterator(range, limiter=4))  # type: ignore[call-overload] # the point
    assert str(error) == "asyncify_iterator() got limiter=4; pass an anyio.CapacityLimiter, or None for the default one"


async def test_a_result_that_is_no_iterable_is_refused() -> None:
    """What the function returned is named, and what to do instead. proves: I1, A9"""
    with pytest.raises(TypeError) as refused:
        await anext(asyncify_iterator(int)())  # type: ignore[arg-type] # the bad input is the point
    assert str(refused.value) == "asyncify_iterator() needs an iterable from 'int', got 'int'; use asyncify"
    with pytest.raises(TypeError) as refused:
        await anext(asyncify_iterator(lambda: async_items())())  # type: ignore[arg-type, return-value] # the same
    assert str(refused.value).endswith("got 'async_generator'; iterate over it directly with 'async for'")
    assert await asyncify(int)() == 0

"""syncify_iterator: an asynchronous stream in one task of a portal's loop, item by item."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from typing import Any

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from anyio.lowlevel import checkpoint

from deaths import Deaths
from gllm_core.concurrency import (
    BlockedLoopWarning,
    PortalNotRunningError,
    ReentrantCallWarning,
    asyncify,
    syncify,
    syncify_iterator,
)
from gllm_core.concurrency._inflight import current
from handshakes import WAIT_S
from outcomes import outcome_of

Portal = BlockingPortal | None


class Boom(Exception):
    """An exception that can be referred to weakly."""


class Thing:
    """An item or an argument: it can be referred to weakly."""


class Source:
    """An async generator that says what it has produced, in which task, and that it was closed."""

    def __init__(self) -> None:
        self.produced: list[int] = []
        self.tasks: set[int] = set()
        self.thrown: list[BaseException] = []
        self.closed = threading.Event()
        self.producing = threading.Event()
        self.block = False

    async def __call__(self, count: int) -> AsyncIterator[int]:
        try:
            with anyio.CancelScope():  # must be left in the task that entered it
                for number in range(count):
                    self.tasks.add(anyio.get_current_task().id)
                    if self.block:
                        self.producing.set()
                        await anyio.sleep_forever()
                    await checkpoint()
                    self.produced.append(number)
                    try:
                        yield number
                    except Boom as error:
                        self.thrown.append(error)
        finally:
            self.tasks.add(anyio.get_current_task().id)
            self.closed.set()


def tasks_of(portal: Portal) -> set[str | None]:
    async def names() -> set[str | None]:
        await checkpoint()
        return {task.name for task in anyio.get_running_tasks()}

    return syncify(names, portal=portal)()


def test_the_wrapper_looks_like_the_function() -> None:
    """The result is a generator function with the name, doc and signature of the function. proves: I1"""

    async def numbers(to: int, /, *, step: int = 1) -> AsyncIterator[int]:
        """Doc."""
        yield to * step

    wrapped = syncify_iterator(numbers)
    assert inspect.isgeneratorfunction(wrapped)
    assert (wrapped.__name__, wrapped.__doc__, wrapped.__module__) == ("numbers", "Doc.", __name__)
    assert wrapped.__wrapped__ is numbers  # type: ignore[attr-defined] # set by functools.wraps
    assert inspect.signature(wrapped) == inspect.signature(numbers)


def test_it_decorates_methods_with_and_without_options(portal: Portal) -> None:
    """Bare and with options it decorates a method, which binds; a staticmethod stays one. proves: I1"""

    async def twice(item: Any) -> AsyncIterator[Any]:
        yield item
        yield item

    class Numbers:
        @syncify_iterator
        async def bare(self) -> AsyncIterator[Any]:
            yield self

        @syncify_iterator(portal=portal)
        async def with_portal(self) -> AsyncIterator[Any]:
            yield self

        static: Any = syncify_iterator(staticmethod(twice))

    owner = Numbers()
    assert [list(owner.bare()), list(owner.with_portal()), list(owner.static(1))] == [[owner], [owner], [1, 1]]


def test_an_item_is_produced_when_it_is_asked_for(portal: Portal) -> None:
    """Items come in order, each once, and none is produced before the consumer asks for it. proves: I1"""
    source, seen = Source(), list[int]()
    for item in syncify_iterator(source, portal=portal)(20):
        tasks_of(portal)  # the loop turns
        assert source.produced == [*seen, item]
        seen.append(item)
    assert seen == list(range(20))
    assert source.closed.is_set()


def test_one_task_and_one_context_carry_it(portal: Portal) -> None:
    """Every step and the `finally` block share a task and one copy of the consumer's context. proves: I2"""
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=-1)
    source = Source()

    async def counting() -> AsyncIterator[int]:
        async for _ in source(5):
            variable.set(variable.get() + 1)
            yield variable.get()

    def consume() -> list[int]:
        variable.set(0)
        return [*syncify_iterator(counting, portal=portal)(), variable.get()]

    assert contextvars.copy_context().run(consume) == [1, 2, 3, 4, 5, 0]
    assert len(source.tasks) == 1


@pytest.mark.parametrize("leave", ["close", "break", "error", "del"])
def test_leaving_early_closes_the_source(portal: Portal, leave: str, deaths: Deaths) -> None:
    """However the consumer leaves, the source is closed in its task when that is over, and the task has ended. proves: I3"""
    source = Source()
    stream = deaths.watch(syncify_iterator(source, portal=portal)(5))
    assert next(stream) == 0
    if leave == "close":
        stream.close()
    elif leave == "error":
        with pytest.raises(Boom):
            raise_over(stream)
    elif leave == "break":
        for _ in stream:
            break
    del stream
    assert source.closed.is_set()
    assert len(source.tasks) == 1
    assert deaths.all_at_once()
    assert not any(name and "Source" in name for name in tasks_of(portal))


def raise_over(stream: Iterator[int]) -> None:
    for _ in stream:
        raise Boom


def test_an_error_of_the_source_is_the_same_object(portal: Portal) -> None:
    """An exception reaches the consumer as the same object, its chain untouched, after the items before it. proves: I4"""
    cause, error = KeyError("cause"), Boom("error")

    async def failing() -> AsyncIterator[int]:
        yield 1
        raise error from cause

    seen: list[int] = []
    try:
        raise RuntimeError("being handled by the consumer")
    except RuntimeError:
        with pytest.raises(Boom) as caught:
            seen.extend(syncify_iterator(failing, portal=portal)())
    assert caught.value is error
    assert (error.__cause__, error.__context__) == (cause, None)
    assert [entry.name for entry in caught.traceback][-1] == "failing"


def test_an_error_of_the_consumer_can_be_thrown_into_the_source(portal: Portal) -> None:
    """`throw` reaches the source as the same object, which may go on. proves: I4"""
    source, error = Source(), Boom()
    stream = syncify_iterator(source, portal=portal)(3)
    assert next(stream) == 0
    assert stream.throw(error) == 1
    assert source.thrown == [error]
    assert list(stream) == [2]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, StopIteration])
def test_base_exceptions_reach_the_consumer_only(kind: type[BaseException], portal: Portal) -> None:
    """Whatever the source raises is the consumer's; the portal lives on. proves: I4, S5"""
    error = kind()

    async def failing() -> AsyncIterator[int]:
        yield 1
        raise error

    stream = syncify_iterator(failing, portal=portal)()
    next(stream)
    with pytest.raises((kind, RuntimeError)) as caught:
        next(stream)
    assert error in (caught.value, caught.value.__cause__)
    assert list(syncify_iterator(Source(), portal=portal)(2)) == [0, 1]


@pytest.mark.anyio
async def test_below_a_cancelled_awaiter_the_source_is_cancelled(portal: Portal) -> None:
    """A source that never yields, below an asyncified function, is cancelled with its awaiter, and closed. proves: I3, S7"""
    source = Source()

    def consume() -> list[int]:
        with closing(syncify_iterator(source, portal=portal)(3)) as stream:
            source.block = next(stream) == 0
            return list(stream)

    with anyio.fail_after(WAIT_S), anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(asyncify(consume))
            while not source.producing.is_set():
                await checkpoint()
            scope.cancel()
    assert scope.cancelled_caught
    assert source.closed.is_set()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_portal_that_stops_closes_the_source(backend: Any) -> None:
    """A portal stopped between two items closes the source, does not hang, and the next item raises. proves: I3, S4"""
    source = Source()
    with start_blocking_portal(backend) as portal:
        stream = syncify_iterator(source, portal=portal)(5)
        assert next(stream) == 0
    assert source.closed.is_set()
    with pytest.raises(PortalNotRunningError) as refused:
        next(stream)
    assert "Source" in str(refused.value)
    assert list(stream) == []


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_portal_that_is_cancelled_in_production_closes_the_source(backend: Any) -> None:
    """A portal that cancels its tasks ends the step in flight with CancelledError, and closes the source. proves: I3, S4"""
    source = Source()
    source.block = True
    with start_blocking_portal(backend) as portal:
        outcomes: list[Any] = []
        stream = syncify_iterator(source, portal=portal)(5)
        consumer = threading.Thread(target=lambda: outcomes.append(outcome_of(lambda: next(stream))))
        consumer.start()
        assert source.producing.wait(WAIT_S)
        portal.call(portal.stop, True)
        consumer.join(WAIT_S)
    assert [type(outcome[1]).__name__ for outcome in outcomes] == ["CancelledError"]
    assert source.closed.is_set()


def test_on_the_loops_own_thread_it_does_not_deadlock() -> None:
    """Re-entrant, a whole stream runs on a reserve portal; one begun elsewhere is refused, and closed. proves: I3, S8, S9"""
    source, other = Source(), Source()
    begun = syncify_iterator(other)(5)
    assert next(begun) == 0

    async def nested() -> tuple[list[int], tuple[str, Any]]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            items = list(syncify_iterator(source)(3))
        kinds.update(warning.category for warning in caught)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return items, outcome_of(lambda: next(begun))

    kinds: set[type[Warning]] = set()
    items, (kind, error) = syncify(nested)()
    assert items == [0, 1, 2]
    assert kinds == {ReentrantCallWarning, BlockedLoopWarning}
    assert (kind, type(error)) == ("error", RuntimeError)
    assert "would wait for ever" in str(error)
    assert other.closed.wait(WAIT_S)


@pytest.mark.anyio
async def test_between_two_steps_a_stream_is_not_tied_to_the_function_below_which_it_is_consumed() -> None:
    """Each step is cancelled with the awaiter of the function, while it lasts; nothing of it stays behind. proves: I3, S12"""

    async def source() -> AsyncIterator[int]:
        for number in range(3):
            yield number

    def consume() -> list[tuple[object, ...]]:
        job = current.job
        assert job is not None
        return [job._calls for _ in syncify_iterator(source)()]

    assert await asyncify(consume)() == [()] * 3


def test_one_that_is_closed_on_its_loops_own_thread_ends_later() -> None:
    """Closing a stream on the thread of the very loop that carries it neither waits nor raises; it ends. proves: I3"""
    source = Source()
    begun = syncify_iterator(source)(5)
    assert next(begun) == 0

    async def close() -> None:
        begun.close()

    syncify(close)()
    assert source.closed.wait(WAIT_S)


def test_nothing_is_kept(portal: Portal, deaths: Deaths) -> None:
    """Argument, items and exception of a stream die with the consumer's last reference. proves: I3, S12"""

    async def source(_: object) -> AsyncIterator[Thing]:
        yield deaths.watch(Thing())
        yield deaths.watch(Thing())
        raise deaths.watch(Boom())

    try:
        for item in syncify_iterator(source, portal=portal)(deaths.watch(Thing())):
            del item
    except Boom:
        pass
    assert deaths.all_soon()


async def fetch() -> int:
    return 7


def items() -> Iterator[int]:
    yield 7


REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: fetch, "syncify_iterator() got the coroutine function 'fetch'; use syncify"),
    (fetch, "syncify_iterator() got the coroutine 'fetch'; pass the function itself, without calling it"),
    (
        lambda: items,
        "syncify_iterator() got the generator function 'items'; it is not async: iterate over it directly with 'for'",
    ),
    (lambda: 7, "syncify_iterator() needs an async callable, got 7; pass the function itself, not the result of a call"),
]


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_what_cannot_work_is_refused_when_wrapping(make: Callable[[], Any], message: str) -> None:
    """The message names the function and the remedy. proves: I1, S10"""
    kind, error = outcome_of(lambda: syncify_iterator(make()))
    assert (kind, type(error), str(error)) == ("error", TypeError, message)
    kind, error = outcome_of(lambda: syncify_iterator(Source(), portal=4))  # type: ignore[call-overload] # the point
    assert str(error).startswith("syncify_iterator() got portal=4; pass an anyio.from_thread.BlockingPortal")


def test_a_result_that_is_no_async_iterable_is_refused() -> None:
    """What the function returned is named, and what to do instead. proves: I1, S10"""
    with pytest.raises(TypeError) as refused:
        next(syncify_iterator(list)())  # type: ignore[arg-type] # the bad input is the point
    remedy = "iterate over it directly with 'for'"
    assert str(refused.value) == f"syncify_iterator() needs an async iterable from 'list', got 'list'; {remedy}"
    with pytest.raises(TypeError, match="got 'int'; use syncify"):
        next(syncify_iterator(int)())  # type: ignore[arg-type] # the bad input is the point
    assert asyncio.run(fetch()) == 7

"""Syncified streams that something inside them cancels between two items: a deadline, a child of a task group that fails."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Generator
from concurrent.futures import CancelledError
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.from_thread import BlockingPortal

from gllm_core.concurrency import syncify_iterator
from handshakes import WAIT_S
from insides import Made, deadline, group_whose_child_raises, limited
from outcomes import outcome_of


def cancelled_inside(make: Made, portal: BlockingPortal | None, *after: int) -> Generator[int, None, None]:
    """A stream that has given 1 inside of what *make* makes, which has ended since; then it gives what comes *after*."""
    ended = threading.Event()

    @syncify_iterator(portal=portal)
    async def source() -> AsyncIterator[int]:
        try:
            async with make():
                yield 1
                yield 2
        finally:
            ended.set()
        for item in after:
            yield item

    stream = source()
    assert next(stream) == 1
    assert ended.wait(WAIT_S)
    return stream


def test_a_deadline_inside_is_raised_by_the_next_item(portal: BlockingPortal | None) -> None:
    """A source that turns its cancellation into an error ends with that. proves: I2, I4"""
    stream = cancelled_inside(deadline, portal)
    with pytest.raises(TimeoutError):
        next(stream)
    assert list(stream) == []


def test_a_deadline_of_asyncio_is_one(fresh_portal: BlockingPortal) -> None:
    """`asyncio.timeout` around a source's items raises TimeoutError, as it does between its steps. proves: I2, I4"""

    @asynccontextmanager
    async def timeout() -> AsyncIterator[None]:
        async with asyncio.timeout(0):
            yield

    with pytest.raises(TimeoutError):
        next(cancelled_inside(timeout, fresh_portal))


def test_the_error_of_a_child_is_raised_by_the_next_item(portal: BlockingPortal | None) -> None:
    """A child of a task group around the items that fails ends the stream: with its error, and no other. proves: I2, I4"""
    error = ValueError()
    kind, caught = outcome_of(lambda: next(cancelled_inside(group_whose_child_raises(error), portal)))
    assert kind == "error"
    assert isinstance(caught, ExceptionGroup)
    assert caught.exceptions == (error,)


def test_a_source_that_deals_with_its_cancellation_goes_on(portal: BlockingPortal | None) -> None:
    """A scope of the source's own that takes its own cancellation costs no later item. proves: I1, I2"""
    assert list(cancelled_inside(limited, portal, 3, 4)) == [3, 4]
    assert list(cancelled_inside(limited, portal)) == []


def test_what_is_thrown_into_a_source_that_has_ended_meanwhile_comes_back(portal: BlockingPortal | None) -> None:
    """An error of the consumer that the source never saw is raised; one that comes later than its items, too. proves: I4"""
    error = LookupError()
    stream = cancelled_inside(limited, portal)
    assert outcome_of(lambda: stream.throw(error)) == ("error", error)
    assert list(stream) == []
    stream = cancelled_inside(limited, portal, 3, 4)
    assert outcome_of(lambda: stream.throw(error)) == ("error", error)
    assert list(stream) == []


def test_a_source_that_stays_in_a_cancelled_scope_is_closed(portal: BlockingPortal | None) -> None:
    """A source that takes its cancellation, and stays where it is cancelled, is closed, not cancelled for ever. proves: I3"""
    closed = threading.Event()
    taken: list[BaseException] = []

    @syncify_iterator(portal=portal)
    async def source() -> AsyncIterator[int]:
        with anyio.CancelScope() as scope:
            scope.cancel()
            try:
                while True:
                    try:
                        yield 1
                    except anyio.get_cancelled_exc_class() as cancelled:
                        taken.append(cancelled)
            finally:
                closed.set()

    stream = source()
    assert next(stream) == 1
    assert closed.wait(WAIT_S)
    assert len(taken) == 1
    with pytest.raises(CancelledError):
        next(stream)

"""Errors of sources that nobody waits for any more, and errors that could be taken for others."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
from anyio import CapacityLimiter
from anyio.from_thread import BlockingPortal

from gllm_core.concurrency import (
    PortalNotRunningError,
    asyncify_context,
    asyncify_iterator,
    get_default_portal,
    syncify_iterator,
)
from handshakes import WAIT_S, Gate, all_tokens_come_back, happened
from marks import asyncio_only
from outcomes import outcome_of


class Logged(logging.Handler):
    """The errors of records of ours, as they come."""

    def __init__(self) -> None:
        super().__init__()
        self.errors, self.came = list[BaseException | None](), threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        assert record.exc_info
        self.errors.append(record.exc_info[1])
        self.came.set()


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[Logged]:
    handler = Logged()
    logging.getLogger("gllm_core.concurrency").addHandler(handler)
    yield handler
    logging.getLogger("gllm_core.concurrency").removeHandler(handler)


class Source:
    """Blocking and asynchronous streams that raise *error* when they are closed."""

    def __init__(self) -> None:
        self.error = ValueError()

    def blocking(self) -> Iterator[int]:
        try:
            yield 1
        finally:
            raise self.error

    async def asynchronous(self) -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            raise self.error


def test_an_error_of_the_close_after_the_loop_is_logged(logged: Logged) -> None:
    """A stream that outlives its loop is closed when it is dropped, and what that raises is not lost. proves: A6, I3, I4"""
    source = Source()
    stream: list[AsyncGenerator[int, None]] = [asyncify_iterator(source.blocking)()]

    async def begin() -> None:
        assert await anext(stream[0]) == 1

    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    loop.close()
    stream.clear()
    assert logged.came.wait(WAIT_S)
    assert logged.errors == [source.error]


@asyncio_only
@pytest.mark.anyio
@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_error_after_the_awaiter_was_closed_is_logged(when: str, logged: Logged) -> None:
    """What entering raises whose awaiter's coroutine is closed, before or after that, is not lost. proves: A6, I4"""
    limiter, gate = CapacityLimiter(1), Gate(ValueError())

    def source() -> Iterator[str]:
        yield gate()

    awaiter = asyncify_context(contextmanager(source), limiter=limiter)().__aenter__()
    awaiter.send(None)
    await gate.running()
    if when == "before":
        gate.leave.set()
        assert gate.left.wait(WAIT_S)
        await all_tokens_come_back(limiter)
    awaiter.close()
    gate.leave.set()
    await all_tokens_come_back(limiter)
    await happened(logged.came)
    assert logged.errors == [gate.error]


def test_an_error_of_the_close_on_the_loops_own_thread_is_logged(logged: Logged) -> None:
    """What the close of a stream raises that its own loop's thread drops, and does not wait for, is not lost. proves: I3, I4"""
    source = Source()
    stream = syncify_iterator(source.asynchronous)()
    assert next(stream) == 1
    get_default_portal().call(stream.close)
    assert logged.came.wait(WAIT_S)
    assert logged.errors == [source.error]


def test_an_error_that_looks_like_the_portals_end_is_raised(portal: BlockingPortal | None) -> None:
    """A source that raises PortalNotRunningError as it is closed, of a call of its own, is heard. proves: I4, S4"""
    source = Source()
    source.error = PortalNotRunningError("another portal")  # type: ignore[assignment] # no matter
    stream = syncify_iterator(source.asynchronous, portal=portal)()
    assert next(stream) == 1
    assert outcome_of(stream.close) == ("error", source.error)

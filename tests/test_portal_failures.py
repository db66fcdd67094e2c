"""Portals that fail, or go away, under calls and under streams."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import threading
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from anyio.lowlevel import checkpoint

from gllm_core.concurrency import (
    BlockedLoopWarning,
    PortalNotRunningError,
    get_default_portal,
    syncify,
    syncify_context,
    syncify_iterator,
)
from handshakes import WAIT_S
from outcomes import outcome_of
from test_dispatch_further import UsersPortal, begin, seven
from ways_in import note_wakes


def test_a_portal_that_no_thread_can_attach_to_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no thread can be started, the first call on a portal of trio says so; the next one works. proves: S4"""
    failure = RuntimeError("can't start new thread")

    def refuse(thread: threading.Thread) -> None:
        raise failure

    with start_blocking_portal("trio") as portal:
        call = syncify(seven, portal=portal)
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            kind, error = outcome_of(call)
        assert (kind, type(error), error.__cause__) == ("error", PortalNotRunningError, failure)
        assert "the portal of 'seven' cannot be reached: can't start new thread" in str(error)
        assert call() == 7


def test_a_portal_whose_loop_cannot_be_woken_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where asyncio's loop refuses the first call on its portal, the call says so; the next one works. proves: S4"""
    failure = RuntimeError("not now")

    def refuse(*_args: object, **_options: object) -> None:
        raise failure

    with start_blocking_portal() as portal:
        call = syncify(seven, portal=portal)
        with monkeypatch.context() as patch:
            patch.setattr(portal.call(asyncio.get_running_loop), "call_soon_threadsafe", refuse)
            kind, error = outcome_of(call)
        assert (kind, type(error), error.__cause__) == ("error", PortalNotRunningError, failure)
        assert call() == 7


def test_a_portal_that_stops_as_it_is_attached_to_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A portal that is found running, and has stopped when it is told to serve, ends the call at once. proves: S4"""
    with start_blocking_portal("trio") as portal:

        def too_late(*args: Any) -> Any:
            monkeypatch.undo()
            portal.call(portal.stop)
            return portal.start_task_soon(*args)

        monkeypatch.setattr(portal, "start_task_soon", too_late)
        kind, error = outcome_of(syncify(seven, portal=portal))
    assert (kind, type(error)) == ("error", PortalNotRunningError)


def test_a_portal_that_stops_before_it_serves_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first call on a portal of asyncio that has stopped when it comes to its loop ends at once. proves: S4"""
    with start_blocking_portal() as portal:
        loop = portal.call(asyncio.get_running_loop)

        def too_late(*args: Any, **options: Any) -> Any:
            monkeypatch.undo()
            portal.call(portal.stop)
            return loop.call_soon_threadsafe(*args, **options)

        monkeypatch.setattr(loop, "call_soon_threadsafe", too_late)
        kind, error = outcome_of(syncify(seven, portal=portal))
    assert (kind, type(error)) == ("error", PortalNotRunningError)


def test_a_portal_that_closes_as_it_is_attached_to_keeps_no_thread() -> None:
    """A first call that comes as its portal closes leaves nothing that waits for an answer for ever. proves: S4"""
    before = set(threading.enumerate())
    for _ in range(200):
        with start_blocking_portal() as portal:
            call = syncify(seven, portal=portal)
            outcomes = list[tuple[str, Any]]()
            caller = threading.Thread(target=lambda call=call, outcomes=outcomes: outcomes.append(outcome_of(call)))
            caller.start()
        caller.join(WAIT_S)
        assert outcomes
        assert outcomes[0] == ("value", 7) or isinstance(outcomes[0][1], PortalNotRunningError)
    assert {thread.name for thread in set(threading.enumerate()) - before} <= {"gllm-default-portal"}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_reserve_portal_that_crashed_is_replaced(caplog: pytest.LogCaptureFixture) -> None:
    """The next re-entrant call after the crash of a reserve portal gets a new one, of the same depth. proves: S8, P2"""

    async def where() -> tuple[threading.Thread, asyncio.AbstractEventLoop]:
        return threading.current_thread(), asyncio.get_running_loop()

    async def outer() -> tuple[threading.Thread, asyncio.AbstractEventLoop]:
        return syncify(where)()

    thread, loop = syncify(outer)()
    assert thread is not threading.current_thread()
    loop.call_soon_threadsafe(loop.stop)
    thread.join(WAIT_S)
    successor, _ = syncify(outer)()
    assert successor is not thread
    assert successor.name == thread.name == "gllm-reserve-portal-0"
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == [
        "the portal of thread 'gllm-reserve-portal-0' crashed"
    ]


def test_what_goes_on_after_its_caller_has_left_is_not_below_it() -> None:
    """A task that a re-entrant call leaves behind calls the default portal itself: that loop is not blocked. proves: S8, S9"""
    go_on, done, found = threading.Event(), threading.Event(), list[tuple[str, Any]]()
    tasks: list[asyncio.Task[None]] = []

    async def where() -> str:
        return threading.current_thread().name

    async def stays() -> None:
        while not go_on.is_set():
            await checkpoint()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found.append(outcome_of(syncify(where)))
        found.extend((warning.category.__name__, None) for warning in caught)
        done.set()

    async def leave_behind() -> None:
        tasks.append(asyncio.ensure_future(stays()))

    async def outer() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            syncify(leave_behind)()

    syncify(outer)()
    go_on.set()
    assert done.wait(WAIT_S)
    assert found == [("value", "gllm-default-portal"), ("BlockedLoopWarning", None)]


class Ticks:
    """An asynchronous stream of numbers without end, and whether it was closed."""

    def __init__(self) -> None:
        self.closed, self.producing, self.block = threading.Event(), threading.Event(), False

    async def __call__(self) -> AsyncIterator[int]:
        try:
            number = 0
            while True:
                await checkpoint()
                if self.block:
                    self.producing.set()
                    await anyio.sleep_forever()
                yield number
                number += 1
        finally:
            self.closed.set()


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.usefixtures("deaths")
def test_a_loop_that_is_closed_over_a_stream_ends_it(first: bool) -> None:
    """When its loop is closed between two items, or before the first is there, a stream ends with an error. proves: I3, S4"""

    def use() -> list[tuple[str, Any]]:
        user, ticks = UsersPortal(), Ticks()
        stream = syncify_iterator(ticks, portal=user.portal)()
        ticks.block = first
        if first:
            step = begin(lambda: next(stream))
            assert ticks.producing.wait(WAIT_S)
        else:
            assert next(stream) == 0
        user.close()
        if not first:
            step = begin(lambda: next(stream))
        return [step.result(WAIT_S), begin(lambda: next(stream, "over")).result(WAIT_S)]

    (kind, error), after = use()
    assert (kind, type(error)) == ("error", PortalNotRunningError)
    assert after == ("value", "over")
    del error

    async def collect() -> None:  # below a loop, as the source may close itself
        gc.collect()

    anyio.run(collect)


def test_a_portal_that_is_stopping_when_the_first_step_comes_refuses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first step that was accepted, but comes to a portal that is stopping, ends with PortalNotRunningError. proves: S4"""
    busy, queued = threading.Event(), threading.Event()

    async def stop_when_queued(portal: BlockingPortal) -> None:
        busy.set()
        assert queued.wait(WAIT_S)  # blocks the loop
        await portal.stop()

    with start_blocking_portal() as portal:
        syncify(checkpoint, portal=portal)()
        loop = portal.call(asyncio.get_running_loop)
        stopped = portal.start_task_soon(stop_when_queued, portal)
        assert busy.wait(WAIT_S)
        note_wakes(monkeypatch, loop, queued.set)
        kind, error = begin(lambda: next(syncify_iterator(Ticks(), portal=portal)())).result(WAIT_S)
        assert stopped.result(WAIT_S) is None
    assert (kind, type(error)) == ("error", PortalNotRunningError)


def test_a_source_that_fails_as_its_portal_stops_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """What a scope raises when its portal stops under it goes to the log: its consumer is not there. proves: I3, I4"""
    error = ValueError("in cleanup")

    @asynccontextmanager
    async def scope() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            raise error

    with start_blocking_portal() as portal:
        context = syncify_context(scope, portal=portal)()
        assert context.__enter__() == 1
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.getMessage() == f"{scope.__qualname__} raised when its portal was stopped"
    assert record.exc_info is not None
    assert record.exc_info[1] is error
    assert type(outcome_of(lambda: context.__exit__(None, None, None))[1]) is PortalNotRunningError


def test_a_warning_made_an_error_does_not_keep_the_source_open() -> None:
    """Closed on a loop's thread where BlockedLoopWarning is an error, a stream raises it, and is closed. proves: I3, S9"""
    ticks = Ticks()
    stream = syncify_iterator(ticks)()
    assert next(stream) == 0

    async def close() -> tuple[str, Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("error", BlockedLoopWarning)
            return outcome_of(stream.close)

    kind, error = anyio.run(close)
    assert (kind, type(error)) == ("error", BlockedLoopWarning)
    assert ticks.closed.wait(WAIT_S)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_call_on_a_loops_thread_replaces_a_default_portal_that_was_stopped() -> None:
    """On a loop's thread, the first call after the default portal was stopped runs on a new one. proves: P2, S9"""

    async def main() -> tuple[str, Any]:
        return outcome_of(syncify(seven))

    portal = get_default_portal()
    portal.call(portal.stop)
    assert anyio.run(main) == ("value", 7)
    assert get_default_portal() is not portal


def test_a_wrapper_refuses_when_the_interpreter_is_finalizing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Called when Python says that it is finalizing, a wrapper raises, and never calls the function. proves: P4"""

    def never() -> Any:
        raise AssertionError("the interpreter is exiting")

    with monkeypatch.context() as patch:
        patch.setattr(sys, "is_finalizing", lambda: True)
        call = syncify(never)
    kind, error = outcome_of(call)
    assert (kind, type(error)) == ("error", PortalNotRunningError)
    assert str(error) == f"the portal of {never.__qualname__!r} is not running: the interpreter is exiting"

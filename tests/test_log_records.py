"""The records on the logger `gllm_core.concurrency`: what each carries for a program that reads logs."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, get_args

import anyio
import pytest
from anyio import CapacityLimiter
from anyio.from_thread import start_blocking_portal

from gllm_core.concurrency import PortalNotRunningError, _log, asyncify, get_default_portal, syncify, syncify_context
from gllm_core.concurrency._portal_thread import PortalThread
from handshakes import WAIT_S, Gate, all_tokens_come_back
from subprocess_tools import COMMON, run_program

OWN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
"""The attributes that every record has."""


def only(caplog: pytest.LogCaptureFixture) -> tuple[logging.LogRecord, dict[str, Any]]:
    """The one record of ours, and what it carries beside its message."""
    (record,) = [record for record in caplog.records if record.name == "gllm_core.concurrency"]
    assert record.levelno == logging.ERROR
    return record, {name: value for name, value in vars(record).items() if name not in OWN}


@pytest.mark.anyio
async def test_an_abandoned_error(caplog: pytest.LogCaptureFixture) -> None:
    """What an abandoned function raises is a record with the function's name. proves: A6"""
    limiter, gate = CapacityLimiter(1), Gate(ValueError("lost"))

    def function() -> None:
        gate()

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(asyncify(function, cancellable=True, limiter=limiter))
            await gate.running()
            scope.cancel()
    gate.leave.set()
    await all_tokens_come_back(limiter)
    record, extra = only(caplog)
    assert extra == {"gllm_event": "abandoned_error", "gllm_call": function.__qualname__}
    assert record.exc_info is not None
    assert record.exc_info[1] is gate.error


def test_a_source_that_fails_as_its_portal_stops(caplog: pytest.LogCaptureFixture) -> None:
    """What a source raises when its portal stops is a record with the source's name. proves: I3"""

    @asynccontextmanager
    async def scope() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            raise ValueError("in cleanup")

    with start_blocking_portal() as portal:
        context = syncify_context(scope, portal=portal)()
        assert context.__enter__() == 1
    assert only(caplog)[1] == {"gllm_event": "source_error", "gllm_call": scope.__qualname__}


def test_a_portal_that_crashed(caplog: pytest.LogCaptureFixture) -> None:
    """The crash of the default portal is a record with the name of its thread. proves: P2"""

    async def where() -> tuple[threading.Thread, asyncio.AbstractEventLoop]:
        return threading.current_thread(), asyncio.get_running_loop()

    thread, loop = syncify(where)()
    loop.call_soon_threadsafe(loop.stop)
    thread.join(WAIT_S)
    assert only(caplog)[1] == {"gllm_event": "portal_crashed", "gllm_portal": thread.name}


def test_a_portal_that_could_not_begin(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """What keeps a portal from beginning is told to the one who needs it, as the cause, and to no log. proves: P1, S4"""

    def refuse(server: PortalThread) -> None:
        raise OSError("too many open files")

    server = PortalThread("gllm-test-portal")
    monkeypatch.setattr(PortalThread, "_run_loop", refuse)
    server.start()
    with pytest.raises(PortalNotRunningError, match="could not be started: too many open files"):
        server.wait_ready()
    server._thread.join(WAIT_S)
    assert not [record for record in caplog.records if record.name == "gllm_core.concurrency"]


def test_a_callback_that_would_end_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    """A SystemExit out of a callback is a record with the name of the portal's thread. proves: S5"""
    loop = get_default_portal().call(asyncio.get_running_loop)
    loop.call_soon_threadsafe(sys.exit, 3)
    assert get_default_portal().call(threading.current_thread).name == "gllm-default-portal"
    record, extra = only(caplog)
    assert extra == {"gllm_event": "callback_error", "gllm_portal": "gllm-default-portal"}
    assert record.exc_info is not None
    assert type(record.exc_info[1]) is SystemExit


def test_a_task_that_would_end_the_loop_is_told_to_its_waiter_only(caplog: pytest.LogCaptureFixture) -> None:
    """A SystemExit out of a user's own task on the portal is for whoever waits for that; no callback is blamed. proves: S5"""

    async def leaves() -> threading.Thread:
        raise SystemExit(3)

    portal = get_default_portal()
    thread = portal.call(threading.current_thread)
    with pytest.raises(SystemExit):
        portal.start_task_soon(leaves).result(WAIT_S)
    thread.join(WAIT_S)
    assert "callback_error" not in [getattr(record, "gllm_event", None) for record in caplog.records]


LEFT = """
room.SHUTDOWN_GRACE_S = 0.5
async def resists():
    started.release()
    threading.Event().wait()
in_thread(syncify(resists))
assert started.acquire(timeout=30)
"""


def test_what_is_left_at_exit() -> None:
    """What outlives the grace at exit is a record with the names of the calls and the seconds. proves: P3"""
    configured = 'logging.basicConfig(format="%(gllm_event)s %(gllm_calls)s %(gllm_grace_s)s")\n'
    run_program(COMMON + configured + LEFT).expect(stderr="left_at_exit ('resists',) 0.5\n")


def test_a_program_without_logging_still_sees_it() -> None:
    """There is no NullHandler: where nothing is configured, the message goes to stderr. proves: P3, A6"""
    run_program(COMMON + LEFT).expect(stderr="still running at exit, after 0.5 s of grace: resists\n")


def test_a_program_can_silence_it() -> None:
    """One line, as for any logger: the level, or a handler that does nothing. proves: P3"""
    run_program(COMMON + 'logging.getLogger("gllm_core.concurrency").setLevel(logging.CRITICAL)\n' + LEFT).expect()
    run_program(COMMON + 'logging.getLogger("gllm_core.concurrency").addHandler(logging.NullHandler())\n' + LEFT).expect()


def test_the_events_are_documented() -> None:
    """The module that owns the logger says what each event means, and each event is one of its list."""
    documented = {line.split()[0] for line in (_log.__doc__ or "").splitlines() if line.startswith("    ")}
    assert documented == set(get_args(_log.Event))

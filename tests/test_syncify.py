"""syncify, promise by promise."""

from __future__ import annotations

import contextvars
import threading
from concurrent.futures import CancelledError

import anyio
import anyio.lowlevel
import pytest
from anyio import to_thread
from anyio.from_thread import BlockingPortal, start_blocking_portal
from anyio.lowlevel import checkpoint

from gllm_core.concurrency import (
    PortalNotRunningError,
    ReentrantCallWarning,
    asyncify,
    get_default_portal,
    syncify,
)
from handshakes import WAIT_S


async def ident() -> int:
    return threading.get_ident()


def test_runs_on_the_given_portal() -> None:
    """A call runs on the portal that it was given, else on the default one. proves: S1"""
    with start_blocking_portal() as portal:
        there = portal.call(threading.get_ident)
        assert syncify(ident, portal=portal)() == there
        assert syncify(ident)() == get_default_portal().call(threading.get_ident) != there


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_value_error_and_context(backend: str) -> None:
    """The outcome is the coroutine's own, which runs in a copy of the context and a task of its name. proves: S2, S3"""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("caller")
    cause, error = KeyError("cause"), ValueError("error")

    async def value() -> tuple[str, str | None]:
        await anyio.lowlevel.checkpoint()
        found = variable.get()
        variable.set("coroutine")
        return found, anyio.get_current_task().name

    async def fails() -> None:
        await anyio.lowlevel.checkpoint()
        raise error from cause

    with start_blocking_portal(backend) as portal:
        assert syncify(value, portal=portal)() == ("caller", value.__qualname__)
        assert variable.get() == "caller"
        with pytest.raises(ValueError, match="error") as caught:
            syncify(fails, portal=portal)()
    assert caught.value is error
    assert error.__cause__ is cause
    assert error.__context__ is None


def test_what_the_coroutine_was_handling_stays_the_context_of_its_exception() -> None:
    """An exception keeps the one that its coroutine was handling, not the one that its caller is. proves: S2"""
    handled, error = KeyError("handled"), ValueError("error")

    async def fails() -> None:
        try:
            raise handled
        finally:
            raise error

    try:
        raise RuntimeError("being handled by the caller")
    except RuntimeError:
        with pytest.raises(ValueError, match="error"):
            syncify(fails)()
    assert error.__context__ is handled


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_stopped_portal_refuses(backend: str) -> None:
    """Once its portal was stopped, a call is refused, wrapped before or after. proves: S4"""
    with start_blocking_portal(backend) as portal:
        call = syncify(ident, portal=portal)
        call()
    with pytest.raises(PortalNotRunningError, match="not running"):
        call()
    with pytest.raises(PortalNotRunningError, match="not running"):
        syncify(ident, portal=portal)()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_portal_that_stops_lets_its_calls_end(backend: str) -> None:
    """A coroutine that runs as its portal stops, and is not cancelled by that, returns its value. proves: S2, S4"""
    started, stops = threading.Event(), threading.Event()
    outcome: list[str] = []

    async def ends_later() -> str:
        started.set()
        await to_thread.run_sync(stops.wait, WAIT_S)
        await checkpoint()
        return "value"

    with start_blocking_portal(backend) as portal:
        thread = threading.Thread(target=lambda: outcome.append(syncify(ends_later, portal=portal)()))
        thread.start()
        assert started.wait(WAIT_S)
        portal.call(portal.stop)
        stops.set()
    thread.join(WAIT_S)
    assert outcome == ["value"]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_cancelled_by_the_portal(backend: str) -> None:
    """A coroutine that its portal cancels, as it stops, ends the call with `CancelledError`. proves: S4"""
    started = threading.Event()

    async def endless() -> None:
        started.set()
        await anyio.sleep_forever()

    outcome: list[BaseException] = []

    def caller(portal: BlockingPortal) -> None:
        try:
            syncify(endless, portal=portal)()
        except CancelledError as error:
            outcome.append(error)

    with start_blocking_portal(backend) as portal:
        thread = threading.Thread(target=caller, args=(portal,))
        thread.start()
        assert started.wait(WAIT_S)
        portal.call(portal.stop, True)
    thread.join(WAIT_S)
    assert len(outcome) == 1


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_base_exception_reaches_its_own_caller_only(kind: type[BaseException]) -> None:
    """`SystemExit` or `KeyboardInterrupt` of a coroutine reaches its caller, and the portal serves on. proves: S5"""
    portal = get_default_portal()

    async def fails() -> None:
        raise kind

    with pytest.raises(kind):
        syncify(fails)()
    assert get_default_portal() is portal
    assert syncify(ident)() == portal.call(threading.get_ident)


def test_a_cancelled_scope_reaches_through_every_hop() -> None:
    """A cancelled scope reaches the coroutine below a function, and the coroutine cleans up. proves: S7"""
    cleaned = threading.Event()
    started = anyio.Event()

    async def inner() -> None:
        try:
            started.set()
            await anyio.sleep_forever()
        finally:
            cleaned.set()

    async def outer() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(asyncify(syncify(inner)))
            await started.wait()
            group.cancel_scope.cancel()

    syncify(outer)()
    assert cleaned.wait(WAIT_S)


def test_reentrant_call_at_depth_50() -> None:
    """Fifty re-entrant calls, one inside the other, get through, with a warning. proves: S8"""

    async def again(depth: int) -> int:
        return syncify(again)(depth - 1) if depth else 50

    with pytest.warns(ReentrantCallWarning):
        assert syncify(again)(50) == 50

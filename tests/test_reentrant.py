"""Calls made on the thread of a running loop: the one that they target, and another."""

from __future__ import annotations

import contextvars
import functools
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from gllm_core.concurrency import BlockedLoopWarning, ReentrantCallWarning, asyncify, get_default_portal, syncify
from handshakes import WAIT_S


async def thread_name() -> str:
    return threading.current_thread().name


@pytest.fixture
def caught() -> Iterator[list[warnings.WarningMessage]]:
    """What is warned of, filtered as Python does by default: once for each place in the source."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        yield caught


def of(caught: list[warnings.WarningMessage], category: type[Warning]) -> list[warnings.WarningMessage]:
    return [warning for warning in caught if warning.category is category]


def test_a_re_entrant_call_runs_on_a_reserve_portal(caught: list[warnings.WarningMessage]) -> None:
    """A call on the thread of the loop that it targets runs on a reserve portal, and says so there. proves: S8"""

    async def outer() -> str:
        return syncify(thread_name)()

    assert syncify(outer)() == "gllm-reserve-portal-0"
    (warning,) = of(caught, ReentrantCallWarning)
    assert warning.filename == __file__
    assert "'thread_name' was called on the thread of the loop that it targets" in str(warning.message)
    assert "Await it directly instead" in str(warning.message)


def test_a_warning_comes_once_for_each_call_site(caught: list[warnings.WarningMessage]) -> None:
    """Many calls from one line warn once; another line warns again. proves: S8, S9"""

    async def outer() -> None:
        for _ in range(3):
            syncify(thread_name)()
        syncify(thread_name)()

    syncify(outer)()
    assert len(of(caught, ReentrantCallWarning)) == 2
    anyio.run(outer)
    assert len(of(caught, BlockedLoopWarning)) == 2


@pytest.mark.parametrize("category", [ReentrantCallWarning, BlockedLoopWarning])
def test_a_filter_makes_the_warning_an_error(category: type[Warning]) -> None:
    """With `filterwarnings("error")` the call is refused, never begun, and leaves the portals as they were. proves: S8, S9"""
    begun = False

    async def inner() -> None:
        nonlocal begun
        begun = True

    async def outer() -> None:
        syncify(inner)()

    call = syncify(outer) if category is ReentrantCallWarning else functools.partial(anyio.run, outer)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", category=category)
        with pytest.raises(category):
            call()
    assert not begun
    assert syncify(thread_name)() == "gllm-default-portal"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_re_entrant_call_may_be_the_first_on_a_portal(backend: str, caught: list[warnings.WarningMessage]) -> None:
    """A re-entrant call is recognised also when nothing was called through that portal before. proves: S8, S1"""
    with start_blocking_portal(backend) as portal:

        async def outer() -> str:
            return syncify(thread_name, portal=portal)()

        assert portal.call(outer).startswith("gllm-reserve-portal")
    assert len(of(caught, ReentrantCallWarning)) == 1


@pytest.mark.filterwarnings("ignore::gllm_core.concurrency.ReentrantCallWarning")
def test_the_chain_is_followed_through_threads() -> None:
    """A call below a blocked loop, by way of a worker thread, does not wait for that loop. proves: S8"""

    async def again(depth: int) -> int:
        return await asyncify(down)(depth) if depth % 2 else down(depth)

    def down(depth: int) -> int:
        return syncify(again)(depth - 1) if depth else 7

    assert syncify(again)(30) == 7


@pytest.mark.filterwarnings("ignore::gllm_core.concurrency.ReentrantCallWarning")
@pytest.mark.filterwarnings("ignore::gllm_core.concurrency.BlockedLoopWarning")
def test_the_chain_is_followed_through_portals() -> None:
    """A chain that blocks one portal from another and comes back to the first does not wait for it. proves: S8, S9, S1"""
    with start_blocking_portal(name="one") as one, start_blocking_portal(name="two") as two:

        async def to(portals: list[BlockingPortal]) -> list[str]:
            name = threading.current_thread().name
            return [name, *(syncify(to, portal=portals[0])(portals[1:]) if portals else [])]

        names = syncify(to, portal=one)([two, one, two, get_default_portal(), one])
    assert names[:2] == ["one", "two"]
    assert names[2].startswith("gllm-reserve-portal")
    assert len(names) == 6


@pytest.mark.filterwarnings("ignore::gllm_core.concurrency.ReentrantCallWarning")
def test_calls_from_elsewhere_wait_their_turn() -> None:
    """While a loop is blocked, a call from a thread outside the chain waits for that very loop. proves: S8, S1"""
    entered, gate = threading.Event(), threading.Event()
    names: list[str] = []

    async def waits() -> None:
        entered.set()
        assert gate.wait(WAIT_S)  # blocks the reserve portal, and the default portal through the call above it

    async def outer() -> None:
        syncify(waits)()

    def elsewhere() -> None:
        names.append(syncify(thread_name)())

    blocker = threading.Thread(target=syncify(outer))
    blocker.start()
    assert entered.wait(WAIT_S)
    other = threading.Thread(target=elsewhere)
    other.start()
    assert names == []
    gate.set()
    blocker.join(WAIT_S)
    other.join(WAIT_S)
    assert names == ["gllm-default-portal"]


@pytest.mark.filterwarnings("ignore::gllm_core.concurrency.ReentrantCallWarning")
def test_two_chains_have_a_reserve_portal_each() -> None:
    """While a re-entrant call holds up its reserve portal, that of another chain runs on another one. proves: S8"""
    entered, gate = threading.Event(), threading.Event()
    names: list[str] = []

    async def waits() -> str:
        entered.set()
        assert gate.wait(WAIT_S)
        return await thread_name()

    async def passes() -> str:
        gate.set()
        return await thread_name()

    with start_blocking_portal() as one, start_blocking_portal() as two:

        async def first() -> None:
            names.append(syncify(waits, portal=one)())

        async def second() -> str:
            return syncify(passes, portal=two)()

        thread = threading.Thread(target=syncify(first, portal=one))
        thread.start()
        assert entered.wait(WAIT_S)
        other = syncify(second, portal=two)()
        thread.join(WAIT_S)
    assert [*names, other] == ["gllm-reserve-portal-0", "gllm-reserve-portal-1"]


@pytest.mark.filterwarnings("ignore::gllm_core.concurrency.ReentrantCallWarning")
def test_reserve_portals_are_kept_for_their_depth() -> None:
    """The same nesting again starts no thread: each depth has its reserve portal. proves: S8"""

    async def again(depth: int) -> None:
        if depth:
            syncify(again)(depth - 1)

    syncify(again)(5)
    before = set(threading.enumerate())
    syncify(again)(5)
    assert set(threading.enumerate()) <= before


@pytest.mark.filterwarnings("ignore::gllm_core.concurrency.ReentrantCallWarning")
def test_a_re_entrant_call_passes_value_error_and_context() -> None:
    """On a reserve portal, too, the outcome is the same object and the context a copy of the caller's. proves: S2, S3, S8"""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    error = KeyError("error")

    async def inner(fail: bool) -> str:
        found = variable.get()
        variable.set("inner")
        if fail:
            raise error
        return found

    async def outer(fail: bool) -> Any:
        variable.set("outer")
        found = syncify(inner)(fail)
        return found, variable.get()

    assert syncify(outer)(False) == ("outer", "outer")
    with pytest.raises(KeyError) as raised:
        syncify(outer)(True)
    assert raised.value is error


@pytest.mark.anyio
async def test_a_foreign_loop_is_blocked_with_a_warning(caught: list[warnings.WarningMessage]) -> None:
    """On the thread of another loop the call works, and the warning names the caller's line. proves: S9"""
    assert syncify(thread_name)() == "gllm-default-portal"
    (warning,) = of(caught, BlockedLoopWarning)
    assert warning.filename == __file__
    assert "'thread_name' blocks the event loop that runs on this thread" in str(warning.message)

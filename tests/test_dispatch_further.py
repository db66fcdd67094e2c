"""Calls that meet a loop in a bad moment: before it serves, as it is closed, as it stops, as an interrupt comes."""

from __future__ import annotations

import _thread
import asyncio
import gc
import threading
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from anyio.lowlevel import checkpoint

from gllm_core.concurrency import PortalNotRunningError, asyncify, get_default_portal, in_flight, syncify
from gllm_core.concurrency._dispatch import Dispatcher
from handshakes import WAIT_S, Gate
from outcomes import outcome_of
from ways_in import Wake, note_wakes, wrap_ways_in


def begin(call: Callable[[], Any]) -> Future[tuple[str, Any]]:
    """Make *call* on a thread of its own; the future has its outcome."""
    future: Future[tuple[str, Any]] = Future()
    threading.Thread(target=lambda: future.set_result(outcome_of(call)), daemon=True).start()
    return future


async def seven() -> int:
    await checkpoint()
    return 7


class UsersPortal:
    """A portal on a loop that the user made, and may close over whatever runs there."""

    portal: BlockingPortal

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda *_: None)  # it complains of the tasks that are destroyed with it
        self._ready, self._ended = threading.Event(), threading.Event()
        _thread.start_new_thread(self._run, ())  # one that `threading` does not know of
        assert self._ready.wait(WAIT_S)

    def _run(self) -> None:
        with suppress(RuntimeError):  # stopped before its end
            self.loop.run_until_complete(self._serve())
        self._ended.set()

    async def _serve(self) -> None:
        async with BlockingPortal() as self.portal:
            self._ready.set()
            await self.portal.sleep_until_stopped()

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        assert self._ended.wait(WAIT_S)
        self.loop.close()


def test_a_loop_that_is_closed_over_a_call_ends_it() -> None:
    """A call in flight when its loop is closed ends with PortalNotRunningError, and its coroutine is dropped. proves: S4"""
    user, started, dropped = UsersPortal(), threading.Event(), threading.Event()

    async def endless() -> None:
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            dropped.set()

    outcome = begin(syncify(endless, portal=user.portal))
    assert started.wait(WAIT_S)
    user.close()
    kind, error = outcome.result(WAIT_S)
    assert (kind, type(error)) == ("error", PortalNotRunningError)
    del user, outcome
    gc.collect()
    assert dropped.is_set()


def test_a_loop_that_was_closed_between_two_calls_is_refused() -> None:
    """A portal whose loop was closed while no call was in flight refuses the next one at once. proves: S4"""
    user = UsersPortal()
    call = syncify(seven, portal=user.portal)
    assert call() == 7
    user.close()
    kind, error = begin(call).result(WAIT_S)
    assert (kind, type(error)) == ("error", PortalNotRunningError)


def test_a_portal_on_a_strange_thread_is_not_taken_for_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow call on a portal whose thread `threading` did not start passes its health checks. proves: S2, S4"""
    user, looked = UsersPortal(), threading.Semaphore(0)
    look_after = Dispatcher.look_after

    def noted(self: Dispatcher, call: Any) -> None:
        look_after(self, call)
        looked.release()

    async def slow() -> str:
        await checked_twice.wait()
        return "patience"

    monkeypatch.setattr(Dispatcher, "look_after", noted)
    checked_twice = user.portal.call(anyio.Event)
    outcome = begin(syncify(slow, portal=user.portal))
    for _ in range(2):
        assert looked.acquire(timeout=WAIT_S)
    assert not outcome.done()
    user.portal.call(checked_twice.set)
    assert outcome.result(WAIT_S) == ("value", "patience")
    user.close()


@pytest.mark.anyio
async def test_a_call_that_its_portal_has_not_begun_to_serve_is_cancelled_with_the_awaiter() -> None:
    """A deadline ends a call on a portal whose loop is busy since before the first call: it never starts. proves: S7, S4"""
    gate, began = Gate(), list[str]()

    async def never() -> None:
        began.append("never")

    with start_blocking_portal() as portal:
        portal.start_task_soon(gate)
        await gate.running()
        with anyio.fail_after(WAIT_S):
            async with anyio.create_task_group() as group:
                group.start_soon(asyncify(lambda: syncify(never, portal=portal)()))
                while not any(call.function == never.__qualname__ for call in in_flight()):
                    await checkpoint()
                group.cancel_scope.cancel()
        assert not gate.left.is_set(), "the call waited for the loop"
        gate.leave.set()
    assert began == []


def test_a_portal_that_is_stopped_before_it_serves_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that waits for a busy portal which is then stopped ends with an error, and is not run later. proves: S4"""
    busy, attached, over, began = threading.Event(), threading.Event(), threading.Event(), list[str]()

    async def occupy(portal: BlockingPortal) -> None:
        busy.set()
        assert attached.wait(WAIT_S)  # blocks the loop
        await portal.stop()
        assert over.wait(WAIT_S)

    async def never() -> None:
        began.append("never")

    with start_blocking_portal() as portal:
        loop = portal.call(asyncio.get_running_loop)
        occupied = portal.start_task_soon(occupy, portal)
        assert busy.wait(WAIT_S)
        note_wakes(monkeypatch, loop, attached.set)
        kind, error = begin(syncify(never, portal=portal)).result(WAIT_S)
        assert (kind, type(error)) == ("error", PortalNotRunningError)
        over.set()
    assert occupied.result(WAIT_S) is None
    assert began == []


def test_two_that_see_at_once_that_a_portal_is_dead_end_a_call_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancellation, and another thread that clears up, in the midst of the first one's clearing up do no harm. proves: S4"""
    loop, claim, second = asyncio.new_event_loop(), Dispatcher._claim, list[tuple[str, Any]]()

    async def enter() -> BlockingPortal:
        return await BlockingPortal().__aenter__()

    def interleaved(self: Dispatcher, call: Any) -> bool:
        won = claim(self, call)
        if won and not second:
            second.append(("began", None))
            second.extend(begin(late).result(WAIT_S) for late in (call.cancel, self.bury))
        return won

    portal = loop.run_until_complete(enter())
    outcome = begin(syncify(seven, portal=portal))
    while not any(call.function == "seven" for call in in_flight()):
        assert not outcome.done()
    monkeypatch.setattr(Dispatcher, "_claim", interleaved)
    loop.close()
    kind, error = outcome.result(WAIT_S)
    assert (kind, type(error)) == ("error", PortalNotRunningError)
    assert second == [("began", None), ("value", None), ("value", None)]


def test_a_call_for_which_no_task_can_be_made_gets_the_reason() -> None:
    """What a loop's task factory raises reaches the caller as the same object, and the portal serves on. proves: S2, S4"""
    error = MemoryError("no more tasks")

    def refuse(_: object, coroutine: Coroutine[Any, Any, Any] | Generator[Any, None, Any], **options: Any) -> Any:
        coroutine.close()
        raise error

    with start_blocking_portal() as portal:
        call = syncify(seven, portal=portal)
        assert call() == 7
        loop = portal.call(asyncio.get_running_loop)
        loop.set_task_factory(refuse)
        assert begin(call).result(WAIT_S) == ("error", error)
        loop.set_task_factory(None)
        assert call() == 7


@pytest.mark.parametrize("handed_over", [False, True])
def test_an_interrupt_as_the_call_is_handed_over_cancels_it(monkeypatch: pytest.MonkeyPatch, handed_over: bool) -> None:
    """Ctrl-C just before, or after, the loop is woken for a call is raised, and nothing is left of the call. proves: S6"""
    began, ended = list[str](), list[str]()
    portal = get_default_portal()
    loop = portal.call(asyncio.get_running_loop)

    def interrupted(wake: Wake) -> Wake:
        def woken(*args: Any, **kwargs: Any) -> Any:
            monkeypatch.undo()
            if handed_over:
                wake(*args, **kwargs)
            raise KeyboardInterrupt

        return woken

    async def endless() -> None:
        began.append("began")
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("ended")

    wrap_ways_in(monkeypatch, loop, interrupted)
    kind, error = outcome_of(syncify(endless))
    assert (kind, type(error)) == ("error", KeyboardInterrupt)
    assert int(handed_over) <= len(began) == len(ended) <= 1
    assert not any(call.function == endless.__qualname__ for call in in_flight())
    assert get_default_portal() is portal
    assert syncify(seven)() == 7

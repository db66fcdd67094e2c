"""What one user does to a portal, a loop or a thread does not reach the others."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest
from anyio import CapacityLimiter
from anyio.from_thread import BlockingPortal, start_blocking_portal
from anyio.lowlevel import checkpoint

from gllm_core.concurrency import PortalNotRunningError, asyncify, get_default_portal, syncify
from handshakes import WAIT_S
from subprocess_tools import COMMON, run_program
from ways_in import note_wakes


class InThread:
    """A call on a thread of its own; its outcome, within WAIT_S."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self._outcome: list[Any] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._outcome.append(self._call())
        except BaseException as error:  # noqa: BLE001 # the outcome
            self._outcome.append(error)

    def outcome(self) -> Any:
        self._thread.join(WAIT_S)
        assert self._outcome, "the call hangs"
        return self._outcome[0]


@pytest.fixture
def innocent() -> Iterator[InThread]:
    """Somebody else's call, in flight on the default portal until the test has ended."""
    started = threading.Event()
    portal = get_default_portal()
    gate = portal.call(anyio.Event)

    async def waits() -> str:
        started.set()
        await gate.wait()
        return "untouched"

    call = InThread(syncify(waits))
    assert started.wait(WAIT_S)
    yield call
    portal.call(gate.set)
    assert call.outcome() == "untouched"
    assert get_default_portal() is portal


@pytest.mark.usefixtures("innocent")
@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_a_base_exception_in_a_child_task_reaches_its_own_caller_only(kind: type[BaseException]) -> None:
    """A SystemExit that a child task raises ends its own call, and neither the portal nor another call. proves: S5"""

    async def exits() -> None:
        await checkpoint()
        raise kind

    async def parent() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(exits)

    with pytest.raises(BaseExceptionGroup) as caught:
        syncify(parent)()
    assert [type(error) for error in caught.value.exceptions] == [kind]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_a_base_exception_does_not_end_a_scoped_portal(kind: type[BaseException], backend: str) -> None:
    """A coroutine that calls sys.exit on the user's own portal ends its own call only: the portal serves on. proves: S5"""

    async def exits() -> None:
        raise kind

    def user() -> int:
        with start_blocking_portal(backend) as portal:
            with pytest.raises(kind):
                syncify(exits, portal=portal)()
            return syncify(seven, portal=portal)() + portal.call(seven)

    assert InThread(user).outcome() == 14  # on a thread, for what AnyIO raises when it does end


@pytest.mark.usefixtures("innocent")
def test_a_base_exception_in_a_callback_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A callback that calls sys.exit on the default portal's loop is logged, and the loop goes on. proves: S5, P2"""
    loop = get_default_portal().call(asyncio.get_running_loop)
    with caplog.at_level(logging.ERROR, "gllm_core.concurrency"):
        loop.call_soon_threadsafe(sys.exit, 3)
        assert get_default_portal().call(threading.get_ident) == get_default_portal().call(threading.get_ident)
    assert [record.getMessage() for record in caplog.records if record.name == "gllm_core.concurrency"] == [
        "a callback on 'gllm-default-portal' raised SystemExit(3); the loop goes on"
    ]


def test_a_task_that_is_cancelled_before_its_first_step_ends_its_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger who cancels a call's task before it has begun ends that call: it does not hang. proves: S4"""
    arrived, queued, gate = threading.Event(), threading.Event(), threading.Event()

    async def victim() -> str:
        return "ran"

    async def canceller() -> None:
        arrived.set()
        assert gate.wait(WAIT_S)  # blocks the loop, so that the victim's start is queued behind this step
        while not (tasks := [t for t in asyncio.all_tasks() if t.get_name() == victim.__qualname__]):  # noqa: ASYNC110 # an event would let the task take its first step
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()

    loop = get_default_portal().call(asyncio.get_running_loop)
    first = InThread(syncify(canceller))
    assert arrived.wait(WAIT_S)

    note_wakes(monkeypatch, loop, queued.set)
    second = InThread(syncify(victim))
    assert queued.wait(WAIT_S)
    monkeypatch.undo()
    gate.set()
    assert first.outcome() is None
    assert isinstance(second.outcome(), CancelledError)


async def seven() -> int:
    return 7


def test_a_portal_whose_loop_was_closed_before_it_served_is_refused() -> None:
    """A call that waits for a loop that stands still ends when that loop is closed; the next one is refused, too. proves: S4"""
    loop = asyncio.new_event_loop()

    async def enter() -> BlockingPortal:
        return await BlockingPortal().__aenter__()

    call = syncify(seven, portal=loop.run_until_complete(enter()))
    waiting = InThread(call)
    loop.close()
    assert isinstance(waiting.outcome(), PortalNotRunningError)
    assert isinstance(InThread(call).outcome(), PortalNotRunningError)


def test_a_dead_portal_is_refused_whoever_has_its_threads_identifier() -> None:
    """On the thread of another loop that got the identifier of a dead portal's thread, that one is refused. proves: S4, S1"""
    with start_blocking_portal() as portal:
        call = syncify(seven, portal=portal)
        assert call() == 7

    async def main() -> None:
        with pytest.raises(PortalNotRunningError):
            call()

    for _ in range(5):  # one of these threads is likely to get it
        assert InThread(lambda: anyio.run(main)).outcome() is None


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_call_to_the_default_portal_never_runs_on_the_users() -> None:
    """Below a chain through the default portal and a trio one, a call to the former runs on asyncio. proves: S1, S8"""

    async def library() -> str:
        await asyncio.sleep(0)
        return "asyncio"

    with start_blocking_portal("trio") as trio_portal:

        async def on_trio() -> str:
            return await asyncify(lambda: syncify(library)())()

        async def outer() -> str:
            return syncify(on_trio, portal=trio_portal)()

        assert syncify(outer)() == "asyncio"


def test_a_worker_outlives_the_loop_of_its_awaiter() -> None:
    """A thread whose function returns to a closed loop serves the next one. proves: A8, A12"""
    gate = threading.Event()
    started = threading.Event()

    def function() -> None:
        started.set()
        assert gate.wait(WAIT_S)

    async def main() -> None:
        kept.append(asyncio.ensure_future(asyncify(function)()))
        await asyncio.to_thread(started.wait, WAIT_S)

    kept: list[asyncio.Future[None]] = []
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)
    loop.run_until_complete(main())
    loop.close()
    gate.set()

    async def again() -> int:
        with anyio.fail_after(WAIT_S):
            return await asyncify(lambda: 7)()

    assert [anyio.run(again) for _ in range(3)] == [7, 7, 7]
    kept.pop().get_loop().set_exception_handler(None)


@pytest.mark.anyio
async def test_from_threads_coroutine_is_cancelled_with_the_awaiter() -> None:
    """`anyio.from_thread.run` inside a function is cancelled when the function's awaiter is. proves: A7, S7"""
    cleaned = threading.Event()
    started = anyio.Event()

    async def endless() -> None:
        try:
            started.set()
            await anyio.sleep_forever()
        finally:
            cleaned.set()

    with anyio.fail_after(WAIT_S):
        async with anyio.create_task_group() as group:
            group.start_soon(asyncify(lambda: anyio.from_thread.run(endless)))
            await started.wait()
            group.cancel_scope.cancel()
    assert cleaned.is_set()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_cancellation_through_a_hop_respects_shields(backend: str) -> None:
    """What a coroutine shields, and a cleanup called after the cancellation, runs to its end. proves: S7"""
    done: list[str] = []

    with start_blocking_portal(backend) as portal:
        started = threading.Event()

        async def work() -> None:
            with anyio.CancelScope(shield=True):
                started.set()
                await anyio.sleep(0.01)
                done.append("shielded")
            await anyio.sleep_forever()

        async def cleanup() -> None:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.01)
                done.append("cleaned")

        def function() -> None:
            try:
                syncify(work, portal=portal)()
            finally:
                syncify(cleanup, portal=portal)()

        async def main() -> None:
            with anyio.fail_after(WAIT_S):
                async with anyio.create_task_group() as group:
                    group.start_soon(asyncify(function))
                    await anyio.to_thread.run_sync(started.wait, WAIT_S)
                    group.cancel_scope.cancel()

        anyio.run(main)
    assert done == ["shielded", "cleaned"]


def test_a_waiter_behind_one_whose_loop_was_closed_gets_the_token() -> None:
    """When the first in a limiter's queue is gone with its loop, the next one's turn comes. proves: A3, A4, A11"""
    limiter, gate = CapacityLimiter(1), threading.Event()
    hold = asyncify(gate.wait, limiter=limiter)
    quick = asyncify(lambda: "quick", limiter=limiter)
    loops = [asyncio.new_event_loop() for _ in range(2)]
    kept: list[Any] = []

    async def begin(function: Callable[..., Any], *args: Any) -> None:
        kept.append(asyncio.ensure_future(function(*args)))
        for _ in range(5):
            await asyncio.sleep(0)

    for loop in loops:
        loop.set_exception_handler(lambda *_: None)
    loops[0].run_until_complete(begin(hold, WAIT_S))
    loops[1].run_until_complete(begin(quick))
    loops[0].run_until_complete(begin(quick))
    loops[1].close()
    gate.set()

    async def outcomes() -> tuple[Any, Any]:
        async with asyncio.timeout(WAIT_S):
            return await kept[0], await kept[2]

    assert loops[0].run_until_complete(outcomes()) == (True, "quick")
    loops[0].close()
    assert limiter.borrowed_tokens == 0


def test_asking_for_a_portals_thread_hangs_nothing() -> None:
    """While threads come and go, and finalizers give way to them, a thread is looked for. proves: S4"""
    run_program(
        COMMON
        + """
from gllm_core.concurrency._threads import thread_exists
gc.set_threshold(20)

class Garbage:
    def __init__(self):
        self.cycle = self
    def __del__(self):
        time.sleep(0)  # in the middle of a collection

def come_and_go():
    for _ in range(20):
        Garbage()
        thread = threading.Thread(target=Garbage)
        thread.start()
        thread.join()

for _ in range(60):
    leave = threading.Event()
    crowd = [threading.Thread(target=leave.wait) for _ in range(40)] + [threading.Thread(target=come_and_go) for _ in range(2)]
    for thread in crowd:
        thread.start()
    assert not thread_exists(-1) and gc.isenabled()
    leave.set()
    for thread in crowd:
        thread.join()
say("over")
"""
    ).expect("over")

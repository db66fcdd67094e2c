"""Rare orders of one call on a portal, brought about by force: told as its wait ends, cancelled too early, or too late."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Generator
from concurrent.futures import CancelledError
from contextlib import suppress
from contextvars import Context
from typing import Any

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from anyio.lowlevel import checkpoint

from gllm_core.concurrency import get_default_portal, syncify
from gllm_core.concurrency._call import Call
from gllm_core.concurrency._dispatch import Dispatcher, call_driven_here
from gllm_core.concurrency._loops import AsyncioTasks, GroupTasks
from gllm_core.concurrency._portal import portals
from handshakes import WAIT_S
from test_dispatch_further import begin, seven


def call_of(func: Any) -> Call:
    return Call(func, (), {}, Context(), "call")


async def never_driven(call: Call) -> None:
    raise AssertionError("no call is spawned here")


class Doorbell:
    """One that is heard only when *heard* says so; the call is over as the last wait for it ends, heard or not."""

    def __init__(self, call: Call, *heard: bool) -> None:
        self._call, self._heard = call, list(heard)

    def acquire(self, timeout: float) -> bool:
        heard = self._heard.pop(0)
        self._call.done = not self._heard
        return heard


class Watched(Dispatcher):
    """Says how often it was looked at."""

    def __init__(self) -> None:
        self._calls, self.looks = {}, 0

    def look_after(self, call: Call) -> None:
        self.looks += 1


@pytest.mark.parametrize(
    ("heard", "looks"), [((True,), 0), ((False,), 0), ((False, False), 1), ((False, False, True), 2)], ids=str
)
def test_an_outcome_ends_the_wait_heard_or_not(heard: tuple[bool, ...], looks: int) -> None:
    """A call that is over when the wait for its doorbell runs out is not waited for, and its portal is not asked. proves: S2"""
    call, watched = call_of(seven), Watched()
    call.doorbell = Doorbell(call, *heard)  # type: ignore[assignment]
    call.wait(watched)
    call.wait(watched)  # as one who was interrupted does, just after
    assert (call.done, watched.looks) == (True, looks)


def test_a_caller_that_is_cancelled_late_cancels_its_call_once() -> None:
    """Where a task blocks its loop in a call, each look at the portal asks if it was cancelled, until it was. proves: S6"""
    call, watched, asked = call_of(seven), Watched(), list[str]()

    def given_up() -> bool:
        asked.append("asked")
        return len(asked) == 2

    call.given_up = given_up
    call.doorbell = Doorbell(call, *[False] * 4, True)  # type: ignore[assignment]
    call.wait(watched)
    assert (len(asked), watched.looks) == (2, 4)
    assert (call.caller_cancelled, call.cancel_requested) == (True, True)


def test_a_cancellation_that_arrives_when_the_call_is_over_does_nothing(portal: BlockingPortal | None) -> None:
    """The loop may hear of a cancellation when the call has ended just before, and twice: its outcome stands. proves: S2, S6"""
    assert syncify(seven, portal=portal)() == 7
    portal = portal or get_default_portal()
    dispatcher, call = portals.serve(portal, "seven"), call_of(seven)
    assert dispatcher.run(call)
    for _ in range(2):
        portal.call(dispatcher._deliver_cancel, call)
    assert call.take() == 7


def test_a_cancellation_that_overtakes_the_call_keeps_it_from_starting(portal: BlockingPortal | None) -> None:
    """A call that is cancelled between its registration and its wake-up never starts, though that comes later. proves: S6"""
    began: list[str] = []
    assert syncify(seven, portal=portal)() == 7
    portal = portal or get_default_portal()
    dispatcher = portals.serve(portal, "seven")

    async def never() -> None:
        began.append("began")

    call = call_of(never)
    dispatcher._calls[call] = [None]  # as `hand_over` does
    portal.call(dispatcher._deliver_cancel, call)
    portal.call(dispatcher._start, call)
    with pytest.raises(CancelledError):
        call.take()
    assert (began, dispatcher.in_flight) == ([], 0)
    assert syncify(seven, portal=portal)() == 7


def test_a_task_that_is_over_before_it_is_known_has_ended_its_call() -> None:
    """Where a loop runs a task as it makes it, a call can be over before its task can be noted; the next one works, too.

    proves: S2
    """

    async def nothing() -> None: ...

    async def eight() -> int:
        return 8

    def eager(
        loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any] | Generator[Any, None, Any], **_: object
    ) -> Any:
        with suppress(StopIteration):
            coroutine.send(None)
        return asyncio.Task(nothing(), loop=loop)

    with start_blocking_portal() as portal:
        assert syncify(seven, portal=portal)() == 7
        loop = portal.call(asyncio.get_running_loop)
        loop.set_task_factory(eager)
        assert begin(syncify(eight, portal=portal)).result(WAIT_S) == ("value", 8)
        loop.set_task_factory(None)
        assert syncify(seven, portal=portal)() == 7


def test_a_task_that_is_just_beginning_is_cancelled_when_it_has_begun() -> None:
    """A loop that turns within the first step of an eager task may hear of a cancellation before the task is known.

    proves: S7
    """

    async def main() -> bool:
        tasks, call = AsyncioTasks(never_driven), call_of(seven)
        tasks.cancel(call)
        await checkpoint()
        call.task = task = asyncio.ensure_future(anyio.sleep_forever())
        await asyncio.wait([task], timeout=WAIT_S)
        return task.cancelled()

    assert asyncio.run(main())


def test_a_coroutine_of_trio_that_is_closed_when_no_loop_runs_is_not_driven() -> None:
    """That a call is closed from outside, as its loop was dropped, is seen also where trio runs no more. proves: S4"""
    call = call_of(seven)

    async def main() -> tuple[GroupTasks, bool]:
        tasks = GroupTasks(never_driven)
        return tasks, tasks.is_driving(call)

    tasks, inside = anyio.run(main, backend="trio")
    assert (inside, tasks.is_driving(call)) == (True, False)


def test_whose_call_blocks_a_loop_is_known_on_its_thread() -> None:
    """A task that AnyIO started on a portal is nobody's call, one that `syncify` started is one; one that waits there is not
    what runs. proves: S7
    """
    portal = get_default_portal()
    begun, leave = threading.Event(), portal.call(anyio.Event)

    async def wait() -> None:
        begun.set()
        await leave.wait()

    async def look() -> str | None:
        call = call_driven_here()
        return None if call is None else call.name

    assert syncify(look)() == look.__qualname__
    waiter = threading.Thread(target=syncify(wait), daemon=True)
    waiter.start()
    assert begun.wait(WAIT_S)
    assert syncify(look)() == look.__qualname__
    assert portal.call(look) is None
    portal.call(leave.set)
    waiter.join(WAIT_S)
    assert not waiter.is_alive()
    assert call_driven_here() is None

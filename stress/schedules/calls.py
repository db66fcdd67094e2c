"""Syncified calls: first use, stop, close, crash, re-entrance, foreign portals."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from concurrent.futures import CancelledError
from typing import Any

import anyio
import anyio.lowlevel
from anyio.from_thread import BlockingPortal, start_blocking_portal

from gllm_core.concurrency.testing.explore import calm

from .model import scenario, together

PORTAL = ("_portal", "_portal_thread", "_dispatch")
CALL = ("_dispatch", "_call", "_loops")


async def _one_more(x: int) -> int:
    await anyio.lowlevel.checkpoint()
    return x + 1


def _thread_of(portal: BlockingPortal) -> threading.Thread:
    ident = portal.call(threading.get_ident)
    return next(thread for thread in threading.enumerate() if thread.ident == ident)


async def _loop_here() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def about_to_stop(portal: BlockingPortal, cancel_remaining: bool = False) -> None:
    """Have *portal*'s loop stop it in its next turn, which is still to come. AnyIO's own ways wait for the loop."""
    loop = portal.call(_loop_here)
    tasks: list[Any] = []
    loop.call_soon_threadsafe(lambda: tasks.append(loop.create_task(portal.stop(cancel_remaining))))


@scenario(*PORTAL, "_syncify", preemptions=2, quick=True)
def first_use() -> None:
    """The first call starts the portal, and is answered."""
    from gllm_core.concurrency import syncify

    assert syncify(_one_more)(1) == 2


@scenario("_portal", "_portal_thread", actors=3)
def first_use_by_two() -> None:
    """Two threads ask for the default portal at once, and there is none yet: both get the same one."""
    from gllm_core.concurrency import get_default_portal

    portals: list[Any] = []
    together(*(lambda: portals.append(get_default_portal()),) * 2)
    assert portals[0] is portals[1]


@scenario("_portal", "_portal_thread", faults=["start"], preemptions=2, quick=True)
def first_use_without_threads() -> None:
    """No thread can be started for the portal, or later for a caller."""
    from gllm_core.concurrency import PortalNotRunningError, syncify

    for _ in range(2):
        try:
            assert syncify(_one_more)(1) == 2
        except PortalNotRunningError:
            continue


@scenario("_portal", "_portal_thread", "_dispatch", actors=3)
def two_callers_find_a_stopped_portal() -> None:
    """The default portal was stopped, and two threads notice it at once: it has one successor."""
    from gllm_core.concurrency import get_default_portal

    with calm():
        stopped = get_default_portal()
        thread = _thread_of(stopped)
        stopped.call(stopped.stop)
        thread.join()
    portals: list[Any] = []
    together(*(lambda: portals.append(get_default_portal()),) * 2)
    assert portals[0] is portals[1] is not stopped


@scenario(*CALL, "_portal", preemptions=2, quick=True)
def call_against_stop() -> None:
    """The default portal is being stopped as a call comes: the call is answered, here or on the next portal."""
    from gllm_core.concurrency import get_default_portal, syncify

    with calm():
        call = syncify(_one_more)
        assert call(0) == 1
        portal = get_default_portal()
        thread = _thread_of(portal)
        about_to_stop(portal)
    assert call(1) == 2
    with calm():
        thread.join()


@scenario(*CALL, preemptions=2, quick=True)
def call_against_a_stop_that_cancels() -> None:
    """The same where the stop cancels what runs: the call is answered, cancelled, or answered by the next portal."""
    from gllm_core.concurrency import get_default_portal, syncify

    with calm():
        call = syncify(_one_more)
        assert call(0) == 1
        portal = get_default_portal()
        thread = _thread_of(portal)
        about_to_stop(portal, cancel_remaining=True)
    with contextlib.suppress(CancelledError):
        assert call(1) == 2
    with calm():
        thread.join()


@scenario(*CALL, "_syncify", preemptions=2, quick=True)
def call_against_scoped_close() -> None:
    """A scoped portal is being closed as a call comes: the call is answered or refused."""
    from gllm_core.concurrency import PortalNotRunningError, syncify

    with start_blocking_portal() as portal:
        with calm():
            call = syncify(_one_more, portal=portal)
            assert call(0) == 1
            about_to_stop(portal)
        with contextlib.suppress(PortalNotRunningError):
            assert call(1) == 2
        stack = calm()
        stack.__enter__()
    stack.__exit__(None, None, None)


def _first_call_as_a_portal_closes() -> None:
    from gllm_core.concurrency import PortalNotRunningError, syncify

    with contextlib.ExitStack() as stack:
        with calm():
            portal = stack.enter_context(start_blocking_portal())
            call = syncify(_one_more, portal=portal)
            about_to_stop(portal)
        with contextlib.suppress(PortalNotRunningError):
            assert call(1) == 2
        stack.enter_context(calm())


@scenario(*PORTAL, actors=3, quick=True)
def first_call_against_scoped_close() -> None:
    """The same for the first call on it, which has the portal served."""
    _first_call_as_a_portal_closes()


@scenario("_errors", preemptions=3, actors=3)
def first_call_within_scoped_close() -> None:
    """The same between the last turn of the portal's loop and its end: nothing waits there for an answer for ever."""
    _first_call_as_a_portal_closes()
    with calm():
        time.sleep(1)  # until nobody can go on
    assert all(thread.name != "gllm-portal-attach" for thread in threading.enumerate())


@scenario("_dispatch", preemptions=2, quick=True)
def first_call_on_a_foreign_portal() -> None:
    """The first call on a portal of the user's, which opens for it meanwhile: it runs there, as there is no other."""
    from gllm_core.concurrency import syncify

    with calm():
        owned = start_blocking_portal()  # and never left: an error would wait for its end
        portal = owned.__enter__()
    assert syncify(_one_more, portal=portal)(1) == 2


@scenario("_portal", "_dispatch", actors=3)
def two_first_calls_on_a_foreign_portal() -> None:
    """Two threads make the first call on a portal of the user's."""
    from gllm_core.concurrency import syncify

    with contextlib.ExitStack() as stack:
        with calm():
            portal = stack.enter_context(start_blocking_portal())
            call = syncify(_one_more, portal=portal)
        results: list[int] = []
        together(lambda: results.append(call(1)), lambda: results.append(call(2)))
        assert sorted(results) == [2, 3]
        stack.enter_context(calm())


@scenario(*PORTAL, actors=3, faults=["start"], quick=True)
def foreign_portal_without_threads() -> None:
    """No thread can be started to reach a foreign portal: the call is refused, and the next one is not."""
    from gllm_core.concurrency import PortalNotRunningError, syncify

    with contextlib.ExitStack() as stack:
        with calm():
            portal = stack.enter_context(start_blocking_portal())
            call = syncify(_one_more, portal=portal)
        try:
            assert call(1) == 2
        except PortalNotRunningError:
            assert call(1) == 2
        stack.enter_context(calm())


def _crash() -> Any:
    """The default portal's loop is about to be stopped by a callback. Returns the wrapped function."""
    from gllm_core.concurrency import get_default_portal, syncify

    call = syncify(_one_more)
    assert call(0) == 1
    loop = get_default_portal().call(_loop_here)
    loop.call_soon_threadsafe(loop.stop)
    return call


@scenario(*CALL, "_portal", preemptions=2, quick=True)
def call_against_crash() -> None:
    """The default portal's loop is stopped under a call: the call ends."""
    with calm():
        from gllm_core.concurrency import PortalNotRunningError

        call = _crash()
    with contextlib.suppress(PortalNotRunningError, CancelledError):
        assert call(1) == 2


@scenario(*CALL, actors=3)
def call_against_one_who_cancels_all_tasks() -> None:
    """Somebody has every task of the default portal's loop cancelled, but its own, as a call comes: the call ends."""
    from gllm_core.concurrency import get_default_portal, syncify

    def cancel_all() -> None:
        for task in asyncio.all_tasks(loop) - {main}:
            task.cancel()

    def call_once() -> None:
        with contextlib.suppress(CancelledError):
            assert call(1) == 2

    with calm():
        call = syncify(_one_more)
        assert call(0) == 1
        portal = get_default_portal()
        loop = portal.call(_loop_here)
        (main,) = (task for task in asyncio.all_tasks(loop) if task.get_name() == "gllm-default-portal")
    together(lambda: loop.call_soon_threadsafe(cancel_all), call_once)


@scenario("_dispatch", faults=["timeout"], preemptions=2)
def health_check_against_crash() -> None:
    """The same where the caller looks after the portal in the middle of it."""
    with calm():
        from gllm_core.concurrency import PortalNotRunningError

        call = _crash()
    with contextlib.suppress(PortalNotRunningError, CancelledError):
        assert call(1) == 2


@scenario("_dispatch", "_call", faults=["timeout"], preemptions=2)
def health_check_comes_first() -> None:
    """Each wait of a call looks after its portal before the answer comes, once."""
    from gllm_core.concurrency import syncify

    with calm():
        call = syncify(_one_more)
        assert call(0) == 1
    assert call(1) == 2


@scenario(*CALL, faults=["wake-up"], preemptions=2, quick=True)
def wake_up_that_fails() -> None:
    """`call_soon_threadsafe` raises once, on the way to the loop or on the way back."""
    from gllm_core.concurrency import PortalNotRunningError, syncify

    with calm():
        call = syncify(_one_more)
        assert call(0) == 1
    with contextlib.suppress(PortalNotRunningError, CancelledError):
        assert call(1) == 2


@scenario(*CALL, preemptions=2, quick=True)
def call_that_is_cancelled() -> None:
    """A call is cancelled from another thread, at any moment of its life: it ends, and its coroutine with it."""
    from contextvars import copy_context

    from gllm_core.concurrency import _call, _portal

    running: list[int] = []

    async def work() -> int:
        running.append(1)
        try:
            return await _one_more(1)
        finally:
            running.pop()

    with calm():
        dispatcher = _portal.portals.default().wait_ready()
        call = _call.Call(work, (), {}, copy_context(), "work")
        canceller = threading.Thread(target=call.cancel)
        canceller.start()
    try:
        assert dispatcher.run(call)
        assert call.take() == 2
    except CancelledError:
        pass
    assert not running
    assert not dispatcher.in_flight
    with calm():
        canceller.join()


@scenario("_syncify", "_portal", actors=3)
def reentrant_call_beside_another() -> None:
    """A call that calls again on the thread of its loop has a reserve portal; one from elsewhere waits its turn."""
    import warnings

    from gllm_core.concurrency import ReentrantCallWarning, syncify

    async def outer() -> int:
        return syncify(_one_more)(1)

    warnings.simplefilter("ignore", ReentrantCallWarning)
    with calm():
        assert syncify(outer)() == 2
    results: list[int] = []
    together(lambda: results.append(syncify(_one_more)(1)), lambda: results.append(syncify(outer)()))
    assert results == [2, 2]


@scenario("_portal", "_portal_thread", "_reserve", preemptions=2, quick=True)
def lease_of_reserve_portals() -> None:
    """Two chains lease and give back reserve portals: no two have the same one at once, and no more are made than needed."""
    from gllm_core.concurrency import _portal

    with calm():
        reserve = _portal.portals.reserve
        lease = reserve.lease()
        reserve.open(lease)
        reserve.give_back(lease)
    leased: list[Any] = []

    def chain() -> None:
        lease = reserve.lease()
        reserve.open(lease)
        assert lease not in leased
        leased.append(lease)
        leased.remove(lease)
        reserve.give_back(lease)

    together(chain, chain)
    assert 1 <= len(reserve._free) <= 2
    assert len(set(reserve._free)) == len(reserve._free)


@scenario("_syncify", "_chain", "_reserve", actors=4)
def two_loops_that_call_each_other() -> None:
    """Of two calls, each of which blocks the loop that the other one targets, at least one has a reserve portal."""
    import warnings

    from gllm_core.concurrency import BlockedLoopWarning, ReentrantCallWarning, syncify

    warnings.simplefilter("ignore", ReentrantCallWarning)
    warnings.simplefilter("ignore", BlockedLoopWarning)
    with calm():
        one, two = (contextlib.ExitStack() for _ in range(2))
        portals = [stack.enter_context(start_blocking_portal()) for stack in (one, two)]
        first, second = (syncify(_one_more, portal=portal) for portal in portals)
        assert (first(1), second(1)) == (2, 2)
    results: list[int] = []

    async def calls(call: Any) -> int:
        return int(call(1))

    here, there = (syncify(calls, portal=portal) for portal in portals)
    together(lambda: results.append(here(second)), lambda: results.append(there(first)))
    assert results == [2, 2]
    with calm():
        one.close()
        two.close()


@scenario("_snapshot", "_registry", "_dispatch", "_call", actors=3, quick=True)
def snapshot_of_calls_in_flight() -> None:
    """Calls in flight are looked at while one begins and ends: what is seen is whole, and afterwards there is none."""
    from gllm_core.concurrency import in_flight, syncify

    with calm():
        call = syncify(_one_more)
        assert call(0) == 1

    def look() -> None:
        for seen in in_flight():
            assert seen.function == "_one_more"
            assert seen.state in ("queued", "running")

    together(look, lambda: call(1))
    assert in_flight() == ()

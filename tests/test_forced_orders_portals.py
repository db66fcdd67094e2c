"""Rare orders in a portal's life, brought about by force: as it is born, as it is attached to, as its loop is dropped."""

from __future__ import annotations

import asyncio
import sys
import time
from contextvars import copy_context
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from fork_programs import PROGRAM, WORKS
from gllm_core.concurrency import PortalNotRunningError, _anyio_internals, _portal_thread, get_default_portal, syncify
from gllm_core.concurrency._call import Call
from gllm_core.concurrency._dispatch import Dispatcher
from gllm_core.concurrency._portal import portals
from gllm_core.concurrency._portal_thread import PortalThread
from handshakes import WAIT_S
from outcomes import outcome_of
from subprocess_tools import FORK_BESIDE_THREADS, STRICT, run_program
from test_dispatch_further import begin, seven


def test_who_comes_second_gets_the_portal_that_the_first_has_started() -> None:
    """Of two who find the same portal stopped, the second gets what the first has put in its place. proves: P1, P2"""
    stopped, portal = portals.default(), get_default_portal()
    portal.call(portal.stop)
    server = portals.default()
    assert server is not stopped
    assert portals._replace_default(stopped) is server
    assert get_default_portal() is server.portal


def test_a_look_that_is_interrupted_leaves_the_next_one_no_more_to_look_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Portals that never began, as Ctrl-C came each time, are passed by once. proves: S6, P2"""
    portal, last = get_default_portal(), portals.default()
    portal.call(portal.stop)
    for _ in range(3):
        last.successor[None] = given_up = PortalThread("never began")
        assert given_up.give_up(KeyboardInterrupt())
        last = given_up

    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(portals, "_replace_default", interrupted)
        with pytest.raises(KeyboardInterrupt):
            portals.default()
    assert portals._default is last
    assert syncify(seven)() == 7


def test_a_portal_that_stops_as_its_first_user_has_waited_for_it_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A portal that somebody stops just as it is ready is given to nobody: the user gets the next one. proves: P2"""
    wait_ready, stopped = PortalThread.wait_ready, list[BlockingPortal]()

    def stop_when_ready(server: PortalThread) -> Dispatcher:
        dispatcher = wait_ready(server)
        if not stopped:
            assert server.portal is not None
            stopped.append(server.portal)
            server.portal.call(server.portal.stop)
        return dispatcher

    monkeypatch.setattr(PortalThread, "wait_ready", stop_when_ready)
    portal = get_default_portal()
    assert portal is not stopped[0]
    assert portal.call(seven) == 7


def test_a_portal_whose_thread_has_not_begun_at_the_exit_never_begins() -> None:
    """The exit waits for no thread that is still to begin; it does nothing when it does, and who waits for it is told.

    proves: P3, P4
    """
    server = PortalThread("gllm-late-portal")
    began = time.monotonic()
    server.begin_stop(began + 2 * WAIT_S)
    assert time.monotonic() < began + WAIT_S
    with pytest.raises(PortalNotRunningError, match="could not be started"):
        server.wait_ready()
    server._thread.start()
    server._thread.join(WAIT_S)
    assert (server._thread.is_alive(), server.portal, server.usable) == (False, None, False)


def test_a_portal_that_is_not_ready_as_the_interpreter_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """In an interpreter that finalizes, a thread that should make the portal may never go on: the wait ends. proves: P4, S4"""
    server = PortalThread("gllm-late-portal")
    monkeypatch.setattr(_portal_thread, "HEALTH_CHECK_S", 0.001)
    monkeypatch.setattr(sys, "is_finalizing", lambda: True)
    kind, error = outcome_of(server.wait_ready)
    monkeypatch.undo()
    assert (kind, type(error)) == ("error", PortalNotRunningError)
    assert "died before the portal was ready" in str(error)


def test_a_fork_while_the_portal_is_being_born_leaves_a_child_that_works() -> None:
    """A child forked when the portal's thread has begun, and there is no portal yet, has one of its own. proves: P2, P5"""
    run_program(
        PROGRAM
        + """
from gllm_core.concurrency import _portal_thread
begun, go_on, run = threading.Event(), threading.Event(), _portal_thread.PortalThread._run
def held_up(server):
    begun.set()
    assert go_on.wait(20)
    run(server)
_portal_thread.PortalThread._run = held_up
first = in_thread(syncify(one))
assert begun.wait(20) and room.portals._started[0].portal is None
child(lambda: (go_on.set(), say("child", works())))
go_on.set()
say("parent", works())
first.join(20)
""",
        options=STRICT,
    ).expect(f"child {WORKS}", f"parent {WORKS}")


def test_a_fork_before_anybody_has_imported_asyncio_leaves_two_that_work() -> None:
    """Where asyncio was never imported, a fork imports nothing, and parent and child can make portals. proves: P2, P5"""
    run_program(
        """
import os, sys
from gllm_core.concurrency import syncify
assert "asyncio" not in sys.modules
async def one():
    return 1
child = os.fork()
assert "asyncio" not in sys.modules
status = 0 if child == 0 else os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
os.write(1, b"%d %d\\n" % (syncify(one)(), status))
if child == 0:
    os._exit(0)
""",
        options=FORK_BESIDE_THREADS,
    ).expect("1 0", "1 0")


def test_the_policy_is_made_in_the_way_that_this_python_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where asyncio deprecates what makes its policy, it is made by what takes its place (Python 3.14). proves: P2"""
    made: list[str] = []
    events: ModuleType = asyncio.events
    monkeypatch.setattr(events, "_get_event_loop_policy", lambda: made.append("new"), raising=False)
    monkeypatch.setattr(asyncio, "get_event_loop_policy", lambda: made.append("deprecated"))
    _anyio_internals._make_policy()
    assert made == ["new"]


def test_a_portal_on_which_no_task_can_be_started_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the portal's task group takes no more tasks, the first call says that the portal is not running. proves: S4"""

    def refuse(*_: object) -> None:
        raise RuntimeError("this task group is not active")

    with start_blocking_portal() as portal:
        with monkeypatch.context() as patch:
            patch.setattr(portal, "_task_group", SimpleNamespace(start_soon=refuse))
            kind, error = begin(syncify(seven, portal=portal)).result(WAIT_S)
        assert (kind, type(error)) == ("error", PortalNotRunningError)
        assert portal.call(seven) == 7


def test_who_looks_slowly_hides_no_portal() -> None:
    """A slow look that sets the default portal back to one that is dead changes nothing. proves: S8, P2"""
    old, portal = portals.default(), get_default_portal()
    portal.call(portal.stop)
    new = portals.default()
    assert new is not old
    try:
        portals._default = old
        assert portals.ident == new.ident
    finally:
        portals._default = new


def test_a_first_call_is_taken_by_a_portal_that_opens_just_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """A portal that begins to serve while a call is handed over has it: as seen by the caller, it was new. proves: S1, S4"""
    looks: list[None] = []

    def opens_just_then(dispatcher: Dispatcher) -> bool:
        looks.append(None)
        dispatcher._state = type(dispatcher._state).OPEN
        return False  # as it was when it was looked at

    with start_blocking_portal() as portal:
        dispatcher = Dispatcher(portal)
        call = Call(seven, (), {}, copy_context(), "seven")
        monkeypatch.setattr(Dispatcher, "accepts", property(opens_just_then))
        assert dispatcher.hand_over(call)
        assert looks
        assert not call.refused
        assert dispatcher.in_flight == 1


def test_a_portal_that_was_given_up_is_not_served() -> None:
    """A portal that answers when it was taken for dead opens for no call: those who came have gone elsewhere. proves: S4, P2"""
    opened: list[None] = []
    with start_blocking_portal() as portal:
        dispatcher = Dispatcher(portal)
        dispatcher.bury()
        portal.call(dispatcher.serve, portal, lambda: opened.append(None))
        assert (opened, dispatcher.accepts, dispatcher.fresh) == ([], False, False)


def test_a_loop_that_is_dropped_drops_what_serves_its_portal() -> None:
    """What serves a portal ends when its loop is closed over it, awaits nothing more, and takes no more calls. proves: S4"""
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # it complains of the tasks that are destroyed with it

    async def main() -> tuple[Dispatcher, asyncio.Task[None]]:
        portal, opened = await BlockingPortal().__aenter__(), asyncio.Event()
        dispatcher = Dispatcher(portal)
        task = asyncio.ensure_future(dispatcher.serve(portal, opened.set))
        await asyncio.wait_for(opened.wait(), WAIT_S)
        assert dispatcher.accepts
        return dispatcher, task

    dispatcher, task = loop.run_until_complete(main())
    loop.close()
    coroutine: Any = task.get_coro()
    coroutine.close()  # as its end does: an await would be a RuntimeError
    assert coroutine.cr_frame is None
    assert not dispatcher.accepts

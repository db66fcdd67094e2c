"""Ctrl-C, and forks, where they cost others their portal: as it is started, attached to, or left; brought about by force."""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal

from fork_programs import PROGRAM
from gllm_core.concurrency import _chain, _portal, _syncify, _threads, get_default_portal, syncify
from gllm_core.concurrency._chain import Block, Wait, chains
from gllm_core.concurrency._portal import portals
from gllm_core.concurrency._portal_thread import PortalThread
from handshakes import WAIT_S
from subprocess_tools import FORK_BESIDE_THREADS, run_program


async def seven() -> int:
    return 7


def test_ctrl_c_of_the_starter_costs_the_others_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for a portal whose starter is interrupted gets the next one. proves: P1, P2"""
    portal = get_default_portal()
    portal.call(portal.stop)
    joined, values, start = threading.Event(), list[int](), PortalThread.start
    wait_ready = PortalThread.wait_ready

    def told_as_it_waits(server: PortalThread) -> Any:
        if threading.current_thread() is other:
            joined.set()
        return wait_ready(server)

    def interrupted(server: PortalThread) -> None:
        monkeypatch.setattr(PortalThread, "start", start)
        other.start()
        assert joined.wait(WAIT_S)
        raise KeyboardInterrupt

    other = threading.Thread(target=lambda: values.append(syncify(seven)()))
    monkeypatch.setattr(PortalThread, "wait_ready", told_as_it_waits)
    monkeypatch.setattr(PortalThread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        syncify(seven)()
    other.join(WAIT_S)
    assert values == [7]


def test_ctrl_c_as_a_portal_is_attached_to_costs_it_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next call to it tries again. proves: S4, S6"""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with start_blocking_portal() as portal:
        with monkeypatch.context() as patch:
            patch.setattr(_portal, "_attach", interrupted)
            with pytest.raises(KeyboardInterrupt):
                syncify(seven, portal=portal)()
        assert syncify(seven, portal=portal)() == 7


@pytest.mark.filterwarnings("ignore::gllm_core.concurrency.ReentrantCallWarning")
def test_ctrl_c_as_a_way_is_left_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that is not blocked any more is not said to be. proves: S1, S8"""
    leave, waits = _syncify._Way.leave, list[int]()

    def broken_off(way: Any) -> None:
        monkeypatch.setattr(_syncify._Way, "leave", leave)
        raise KeyboardInterrupt

    async def calls() -> str:
        monkeypatch.setattr(_syncify._Way, "leave", broken_off)
        try:
            syncify(seven)()
        except KeyboardInterrupt:
            return f"{len(chains.waits)} left"
        return "not interrupted"

    with start_blocking_portal() as portal:
        waits.append(len(chains.waits))
        assert syncify(calls, portal=portal)() == "0 left"


def test_ctrl_c_as_a_wait_ends_leaves_nothing_behind() -> None:
    """It may come as the wait is taken back. proves: S1, S8"""

    class Interrupted(dict[Any, None]):
        times = 0

        def pop(self, *arguments: Any) -> Any:
            self.times += 1
            if self.times == 1:
                raise KeyboardInterrupt
            return super().pop(*arguments)

    async def waits() -> tuple[int, int]:
        chains.waits = noted = Interrupted()
        try:
            with pytest.raises(KeyboardInterrupt), chains.waiting(portals):
                assert len(noted) == 1
            return len(noted), noted.times
        finally:
            chains.waits = {}

    with start_blocking_portal() as portal:
        assert portal.call(waits) == (0, 2)


def test_only_threads_of_threading_are_known_by_their_first_step() -> None:
    """Another thread's locals are left alone: a copy of them would keep them alive. proves: S12"""
    known: list[object] = []
    done = _thread.allocate_lock()
    done.acquire()

    def asks(self: object) -> None:
        known.append(_threads.begun_as())
        done.release()

    _thread.start_new_thread(asks, ("an argument that is called self",))
    assert done.acquire(timeout=WAIT_S)
    thread = threading.Thread(target=asks, args=(None,))
    thread.start()
    assert done.acquire(timeout=WAIT_S)
    thread.join(WAIT_S)
    assert known == [None, thread]


def test_a_thread_is_known_whatever_calls_its_first_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a debugger does, which begins threads through a function of its own. proves: S8"""
    name = "_start_new_thread" if hasattr(threading, "_start_new_thread") else "_start_joinable_thread"
    start_new_thread, known = getattr(threading, name), list[object]()

    def wrapped(function: Callable[[], object], *arguments: Any, **options: Any) -> object:
        return start_new_thread(lambda: function(), *arguments, **options)

    monkeypatch.setattr(threading, name, wrapped)
    thread = threading.Thread(target=lambda: known.append(_threads.begun_as()))
    thread.start()
    thread.join(WAIT_S)
    assert known == [thread]


def test_a_child_forked_below_a_blocked_loop_has_no_blocked_loops() -> None:
    """Its threads may get the identifiers of the parent's, and its calls are no re-entrant ones. proves: S1, P5"""
    run_program(
        PROGRAM
        + """
warnings.simplefilter("ignore")
async def where():
    return threading.current_thread().name
async def forks():
    child(lambda: say("child", [syncify(where)() for _ in range(6)]))
async def on_loop():
    syncify(forks)()
get_default_portal()
with start_blocking_portal() as portal:
    portal.call(on_loop)
""",
        options=FORK_BESIDE_THREADS,
    ).expect(f"child {['gllm-default-portal'] * 6}")


def test_a_child_that_a_blocked_thread_itself_has_forked_is_still_below_that_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal handler may fork where its thread blocks a loop: in the child, that loop alone is blocked. proves: P5, S8"""
    mine, others = Block(threading.get_ident()), Block(-1)
    monkeypatch.setattr(chains, "waits", {Wait(SimpleNamespace(ident=-2), (mine, others)): None})
    _chain._forget_parent()
    assert (mine.active, others.active, chains.waits) == (True, False, {})

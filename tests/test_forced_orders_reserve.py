"""Rare orders of those who need the same portal, brought about by force: another was quicker, or it waits for this very one."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Collection
from types import SimpleNamespace
from typing import Any, cast
from weakref import WeakKeyDictionary

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from gllm_core.concurrency import ReentrantCallWarning, get_default_portal, syncify
from gllm_core.concurrency._chain import Block, Wait, chains
from gllm_core.concurrency._dispatch import Dispatcher
from gllm_core.concurrency._portal import portals
from gllm_core.concurrency._portal_thread import PortalThread
from gllm_core.concurrency._reserve import Lease, Reserve
from gllm_core.concurrency._threads import OwnThread, WorkerThread
from handshakes import WAIT_S
from test_dispatch_further import seven


async def thread_name() -> str:
    return threading.current_thread().name


class Late(WeakKeyDictionary[BlockingPortal, Dispatcher]):
    """In which nothing is found: it is there just after that."""

    def get(self, *_: Any) -> Any:
        return None


def test_two_first_calls_on_a_portal_have_one_dispatcher(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two who find at once that a portal is not served yet, the second uses what the first has made. proves: S1, S4"""
    with start_blocking_portal() as portal:
        first = portals.serve(portal, "first")
        with monkeypatch.context() as patch:
            patch.setattr(portals, "_foreign", Late(portals._foreign))
            assert portals.serve(portal, "second") is first
        assert syncify(seven, portal=portal)() == 7


def never_started(server: object) -> None:
    raise AssertionError("nothing is to be started")


def test_a_reserve_portal_that_another_took_first_is_passed_over() -> None:
    """A chain that finds a reserve portal free, which another takes at that moment, gets the next one. proves: S8"""
    reserve = Reserve(never_started)
    first, second = reserve.lease(), reserve.lease()

    class Taken(list[Lease]):
        def remove(self, lease: Lease) -> None:
            if len(self) == 2:
                super().remove(lease)  # the other one's
            super().remove(lease)

    reserve._free = Taken([first, second])
    found = reserve.lease()
    assert (found.depth, list(reserve._free)) == (second.depth, [])
    assert reserve.lease().depth == 2


def test_a_reserve_portal_on_a_thread_that_waits_is_passed_over() -> None:
    """A free reserve portal whose thread waits for the chain that needs one is left where it is. proves: S8"""
    reserve = Reserve(never_started)
    waits, free = (Lease(depth, cast(PortalThread, SimpleNamespace(ident=-2 - depth, usable=True))) for depth in range(2))
    reserve.give_back(free)
    reserve.give_back(waits)
    assert reserve.lease(avoid={waits.ident}) is free
    assert reserve.lease() is waits


def test_a_reserve_portal_that_turns_out_to_be_blocked_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain that sees that the reserve portal it has leased waits for the chain itself gives it back at once. proves: S8"""
    reserve = portals.reserve
    lease, give_back = reserve.lease, reserve.give_back
    blocked, returned = list[Any](), list[Any]()

    def lease_a_blocked_one(avoid: Collection[int | None] = ()) -> Any:
        if blocked:
            return lease(avoid)
        blocked.append(SimpleNamespace(ident=threading.get_ident()))
        return blocked[0]

    def note(leased: Any) -> None:
        returned.append(leased)
        if leased not in blocked:
            give_back(leased)

    async def outer() -> str:
        return syncify(thread_name)()

    monkeypatch.setattr(reserve, "lease", lease_a_blocked_one)
    monkeypatch.setattr(reserve, "give_back", note)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReentrantCallWarning)
        assert syncify(outer)().startswith("gllm-reserve-portal-")
    assert len(returned) == 2
    assert returned[0] is blocked[0]


def test_who_waits_for_the_default_portal_waits_for_its_thread() -> None:
    """What a chain waits for that needs the default portal is the thread that runs it, or is about to. proves: S8, P1"""
    portal = get_default_portal()
    assert portals.ident == portal.call(threading.get_ident)


def test_a_portals_thread_knows_itself_before_it_has_its_identifier() -> None:
    """A finalizer on a portal's thread, before `threading` has noted whose that is, is seen to be there; elsewhere nothing is.

    proves: S8, S4
    """
    found: list[bool] = []
    server = PortalThread("gllm-nameless-portal")
    thread: Any = server._thread

    def nameless() -> None:
        ident, thread._ident = thread._ident, None
        try:
            found.append(server.ident == threading.get_ident())
        finally:
            thread._ident = ident

    assert server.ident is None
    thread._target = nameless
    thread.start()
    thread.join(WAIT_S)
    assert found == [True]


def test_a_worker_between_two_jobs_is_below_every_chain_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A finalizer on a worker thread that has no function counts every loop that waits as blocked. proves: S8"""
    block, found = Block(-1), list[Any]()
    monkeypatch.setattr(chains, "waits", {Wait(SimpleNamespace(ident=-2), (block,)): None}, raising=True)

    def look() -> None:
        found.append((chains.waited_for_here(), chains.blocked()))

    for kind in (WorkerThread, OwnThread):
        thread = kind(target=look, daemon=True)
        thread.start()
        thread.join(WAIT_S)
    assert found == [(True, (block,)), (False, ())]

"""A fork on the very thread whose call it comes into, as a signal handler forks, while others are anywhere."""

from __future__ import annotations

import contextlib
import threading
import warnings
from typing import Any

import anyio.lowlevel
from anyio.from_thread import start_blocking_portal

from gllm_core.concurrency.testing.explore import become_child, calm

from .calls import _loop_here
from .forks import _check_child
from .model import ends, scenario


async def _one_more(x: int) -> int:
    await anyio.lowlevel.checkpoint()
    return x + 1


@scenario("_portal", "_portal_thread", actors=3)
def fork_by_the_one_who_looks_for_the_default_portal() -> None:
    """In the child, the handler that forked and what it interrupted get one default portal, whoever starts the parent's."""
    from gllm_core.concurrency import get_default_portal
    from gllm_core.concurrency._portal import portals

    replace, here = portals._replace_default, threading.get_ident()
    seen: list[Any] = []

    def fork_first(old: Any) -> Any:
        if threading.get_ident() == here and not seen:
            portals._replace_default = replace  # type: ignore[method-assign]
            become_child()
            seen.append(get_default_portal())
        return replace(old)

    portals._replace_default = fork_first  # type: ignore[method-assign] # of the copy that this schedule has
    starter = threading.Thread(target=get_default_portal, name="starter")
    starter.start()
    seen.append(get_default_portal())
    with calm():
        assert all(portal is seen[0] for portal in seen)  # one, if the other thread was quicker and nobody forked
        _check_child()


@scenario("_dispatch", "_call", preemptions=2)
def fork_by_the_one_who_waits_for_an_answer() -> None:
    """In the child, a call that waits for the parent's answer ends, however far that had come."""
    from gllm_core.concurrency import PortalNotRunningError, _call, syncify

    wait, here = _call.Call.wait, threading.get_ident()
    forked: list[bool] = []
    begun = threading.Event()

    async def begin() -> int:
        begun.set()
        return 2

    def fork_first(call: Any, dispatcher: Any) -> None:
        if threading.get_ident() == here and not forked:
            begun.wait()
            forked.append(True)
            become_child()
        wait(call, dispatcher)

    with calm():
        call = syncify(begin)
        call()
        begun.clear()
        _call.Call.wait = fork_first  # type: ignore[method-assign] # of the copy that this schedule has
    with contextlib.suppress(PortalNotRunningError):
        assert call() == 2
    with calm():
        assert forked
        _check_child()


@scenario("_portal", "_dispatch", preemptions=2)
def fork_on_the_thread_of_a_foreign_portal() -> None:
    """In the child, the portal on whose thread it was forked is refused, however far another thread's first call there was."""
    from gllm_core.concurrency import PortalNotRunningError, syncify

    def fork() -> None:
        become_child()
        with calm():
            checker = threading.Thread(target=check)  # as what a callback raises is its loop's
            checker.start()
            checker.join()

    def check() -> None:
        ends(refused)
        _check_child()

    def refused() -> None:
        with contextlib.suppress(PortalNotRunningError):
            raise AssertionError(f"a portal of the parent answered {call(1)}")

    with calm():
        owned = start_blocking_portal()  # and never left: the child has no such thread
        portal = owned.__enter__()
        call = syncify(_one_more, portal=portal)
        portal.call(_loop_here).call_soon_threadsafe(fork)
    call(0)


@scenario("_chain", "_threadcall", "_workers", actors=4)
def fork_below_a_blocked_loop() -> None:
    """In the child, the loops that the parent's chain blocked are of no chain any more: their threads are not there."""
    from gllm_core.concurrency import BlockedLoopWarning, asyncify, syncify
    from gllm_core.concurrency._chain import chains

    def fork() -> None:
        become_child()
        blocked = [block for block in chains.get() if block.active]
        with calm():
            checker = threading.Thread(target=check, args=[blocked])  # as what a function raises is its awaiter's
            checker.start()
            checker.join()

    def check(blocked: list[Any]) -> None:
        assert not blocked
        assert not chains.waits
        _check_child()

    async def below() -> None:
        await asyncify(fork)()

    async def outer() -> None:
        syncify(below)()

    warnings.simplefilter("ignore", BlockedLoopWarning)
    with calm():
        owned = start_blocking_portal()  # and never left: the child has no such thread
        portal = owned.__enter__()
        syncify(_one_more)(0)
        syncify(_one_more, portal=portal)(0)
    portal.call(outer)

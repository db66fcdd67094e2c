"""Loops that wait for each other: reserve portals, and calls from where no context tells who waits for this thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import warnings
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any

import anyio
from anyio.from_thread import start_blocking_portal

from gllm_core.concurrency.testing.explore import calm

from .model import ends, scenario, together


async def _one_more(x: int) -> int:
    return x + 1


def _ignore_warnings() -> None:
    from gllm_core.concurrency import BlockedLoopWarning, ReentrantCallWarning

    warnings.simplefilter("ignore", ReentrantCallWarning)
    warnings.simplefilter("ignore", BlockedLoopWarning)


@scenario("_reserve", actors=3)
def reserve_portal_in_use() -> None:
    """A loop is blocked by a call to itself as another chain looks for a reserve portal: the one in use is not free."""
    from gllm_core.concurrency import syncify
    from gllm_core.concurrency._portal import portals

    async def inner() -> None:
        here = threading.get_ident()
        assert all(lease.ident != here for lease in portals.reserve._free)

    async def outer() -> None:
        syncify(inner)()

    def lease() -> None:
        portals.reserve.give_back(portals.reserve.lease())

    _ignore_warnings()
    with calm():
        syncify(outer)()
    together(lease, syncify(outer))


@scenario("_reserve", actors=3)
def call_left_on_a_reserve_portal() -> None:
    """What runs on, on a reserve portal, after the call that had it, blocks it in a call: nobody leases it meanwhile."""
    from gllm_core.concurrency import syncify

    left: list[asyncio.Task[int]] = []

    async def reenter() -> int:
        return syncify(_one_more)(1)

    async def run_on(gate: asyncio.Event) -> int:
        await gate.wait()
        return syncify(reenter)()

    async def leave() -> Callable[[], object]:
        gate = asyncio.Event()
        left.append(asyncio.create_task(run_on(gate)))
        loop = asyncio.get_running_loop()
        return lambda: loop.call_soon_threadsafe(gate.set)

    async def outer() -> Callable[[], object]:
        return syncify(leave)()

    _ignore_warnings()
    with calm():
        open_gate = syncify(outer)()
    assert len(left) == 1
    together(open_gate, lambda: syncify(_one_more)(1))
    with calm():
        anyio.run(anyio.sleep, 1)
    assert left[0].result() == 2


def _call_first(call: Callable[[], object], name: str) -> None:
    """Have a thread of ours, of that *name*, make a *call* in its very first steps, as a finalizer may."""
    from gllm_core.concurrency import _threads

    set_ident = threading.Thread._set_ident  # type: ignore[attr-defined]

    def call_first(thread: threading.Thread) -> None:
        if thread.name == name:
            call()
        set_ident(thread)

    _threads.OwnThread._set_ident = call_first  # type: ignore[attr-defined] # of the copy that this schedule has


@scenario("_errors", actors=3)
def call_in_the_first_steps_of_a_thread_that_attaches() -> None:
    """The first steps of a thread that reaches for a foreign portal call to the loop that waits for them: a reserve portal."""
    from gllm_core.concurrency import _portal, syncify

    results: list[int] = []

    async def reenter() -> int:
        return syncify(_one_more)(1)

    async def outer() -> int:
        return call(2)

    _ignore_warnings()
    with contextlib.ExitStack() as stack:
        with calm():
            portal = stack.enter_context(start_blocking_portal())
            syncify(reenter)()
        call = syncify(_one_more, portal=portal)
        _portal.ask_portal_to_start = lambda *_: False  # as on trio; of the copy that this schedule has
        _call_first(lambda: results.append(syncify(_one_more)(1)), "gllm-portal-attach")
        ends(syncify(outer))
        assert results == [2]
        stack.enter_context(calm())


@scenario("_chain", "_portal", actors=3)
def call_in_the_first_steps_of_the_default_portal() -> None:
    """The first steps of the default portal's thread call to the loop whose call waits for them: on a reserve portal."""
    from gllm_core.concurrency import syncify

    results: list[int] = []

    async def outer() -> int:
        return syncify(_one_more)(2)

    _ignore_warnings()
    with contextlib.ExitStack() as stack:
        with calm():
            portal = stack.enter_context(start_blocking_portal())
            call = syncify(_one_more, portal=portal)
            call(0)
        _call_first(lambda: results.append(call(1)), "gllm-default-portal")
        ends(syncify(outer, portal=portal))
        assert results == [2]
        stack.enter_context(calm())


@scenario("_chain", "_portal_thread", actors=3)
def call_in_the_first_steps_of_a_reserve_portal() -> None:
    """The first steps of a reserve portal's thread call to the loop whose call waits for them: on another one."""
    from gllm_core.concurrency import syncify

    results: list[int] = []

    async def outer() -> int:
        return syncify(_one_more)(2)

    _ignore_warnings()
    with calm():
        syncify(_one_more)(1)
    _call_first(lambda: results.append(syncify(_one_more)(1)), "gllm-reserve-portal-0")
    ends(syncify(outer))
    assert results == [2]


@scenario("_chain", "_syncify", actors=4)
def call_between_two_jobs() -> None:
    """A worker calls as it is about to begin a function, to the loop of a chain that waits for that: on a reserve portal."""
    from gllm_core.concurrency import _threadcall, asyncify, syncify

    results: list[int] = []
    work = _threadcall.ThreadCall.work

    def call_first(job: Any) -> None:
        results.append(syncify(_one_more)(1))
        work(job)

    async def function() -> int:
        return await asyncify(int)()

    _ignore_warnings()
    with contextlib.ExitStack() as stack:
        with calm():
            portal = stack.enter_context(start_blocking_portal())
            below = syncify(function, portal=portal)
            below()
            syncify(_one_more)(1)

        async def outer() -> int:
            return below()

        _threadcall.ThreadCall.work = call_first  # type: ignore[method-assign] # of the copy that this schedule has
        ends(syncify(outer))
        assert results == [2]
        stack.enter_context(calm())


@scenario("_chain", "_syncify", actors=4)
def call_from_a_worker_to_the_loop_that_waits_for_it() -> None:
    """Two loops and a worker further down, a function calls to the outermost loop, which is blocked: on a reserve portal."""
    from gllm_core.concurrency import asyncify, syncify

    _ignore_warnings()
    with contextlib.ExitStack() as stack:
        with calm():
            portal = stack.enter_context(start_blocking_portal())

            async def function() -> int:
                return await asyncify(lambda: syncify(_one_more)(1))()

            below = syncify(function, portal=portal)
            assert below() == 2

        async def outer() -> int:
            return below()

        ends(syncify(outer))
        stack.enter_context(calm())


@scenario("_chain", actors=3)
def call_in_the_context_of_one_that_ends() -> None:
    """A context copied below a call that blocks its loop is an ordinary one as soon as that call is over."""
    from gllm_core.concurrency import get_default_portal, syncify

    contexts: list[Context] = []
    copied = threading.Event()
    names: list[str] = []

    async def inner() -> None:
        contexts.append(copy_context())
        copied.set()

    async def outer() -> None:
        syncify(inner)()

    async def where() -> str:
        return threading.current_thread().name

    def call_in_context() -> None:
        copied.wait()
        names.append(contexts[0].run(syncify(where)))

    _ignore_warnings()
    with calm():
        syncify(outer)()
        copied.clear()
        contexts.clear()
    together(call_in_context, lambda: syncify(outer)())
    call_in_context()
    assert names[0] in ("gllm-default-portal", "gllm-reserve-portal-0")
    assert names[1] == "gllm-default-portal" == get_default_portal().call(where)

"""A fork at any moment of what another thread does: the child works, whatever it inherits."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread

from gllm_core.concurrency.testing.explore import become_child, calm

from .model import ends, scenario


async def _one_more(x: int) -> int:
    await anyio.lowlevel.checkpoint()
    return x + 1


def _fork_beside(work: Callable[[], object], in_child: Callable[[], object]) -> None:
    """Fork on another thread while this one is somewhere in *work*."""

    def fork() -> None:
        become_child()
        with calm():
            in_child()
            _check_child()

    forker = threading.Thread(target=fork, name="forker")
    with calm():
        forker.start()
    work()
    forker.join()


def _check_child() -> None:
    """In the child, both directions work, and there is no call in flight."""
    from gllm_core.concurrency import asyncify, get_default_portal, in_flight, syncify

    assert in_flight() == ()
    assert syncify(_one_more)(1) == 2
    assert get_default_portal().call(_one_more, 2) == 3
    assert anyio.run(asyncify(lambda: 4)) == 4


@scenario("_portal", "_portal_thread", "_dispatch", "_anyio_internals", actors=3)
def fork_against_first_use() -> None:
    """A fork while another thread makes the first call."""
    from gllm_core.concurrency import syncify

    _fork_beside(lambda: syncify(_one_more)(1), bool)


@contextlib.contextmanager
def _policy_to_be_made() -> Iterator[None]:
    """Inside, asyncio has not made its policy yet. It keeps that in its module, with the lock that guards its making."""
    module = vars(asyncio.events)
    before = module["_event_loop_policy"], module["_lock"]
    module["_event_loop_policy"], module["_lock"] = None, threading.RLock()
    try:
        yield
    finally:
        module["_event_loop_policy"], module["_lock"] = before


@scenario("_anyio_internals", "asyncio.events", preemptions=2, quick=True)
def fork_against_the_policy() -> None:
    """A fork while another thread has asyncio make its policy, which it does under a lock: the child has both."""
    with calm():
        from gllm_core.concurrency import syncify

        call = syncify(_one_more)
        call(1)
    with _policy_to_be_made():  # as the first `asyncio.run` does
        _fork_beside(vars(asyncio.events)["_init_event_loop_policy"], lambda: ends(lambda: call(1)))


@scenario("_dispatch", "_call", "_loops", "_portal", actors=3, quick=True)
def fork_against_a_call() -> None:
    """A fork while another thread calls on a portal that runs."""
    from gllm_core.concurrency import syncify

    with calm():
        call = syncify(_one_more)
        call(0)
    _fork_beside(lambda: call(1), bool)


@scenario("_workers", "_threadcall", "_blocking", "_delivery", "_asyncify", actors=3)
def fork_against_a_function() -> None:
    """A fork while another thread's loop has a function done."""
    from gllm_core.concurrency import asyncify

    with calm():
        anyio.run(asyncify(int))
    _fork_beside(lambda: anyio.run(asyncify(int)), bool)


@scenario("_turnstile", actors=4)
def fork_against_a_token() -> None:
    """A fork while two functions of other loops compete for the one token of a shared limiter: the child has it back."""
    from gllm_core.concurrency import asyncify

    async def make() -> anyio.CapacityLimiter:
        return anyio.CapacityLimiter(1)

    with calm():
        limiter = anyio.run(make)
        call = asyncify(int, limiter=limiter)
        anyio.run(call)
        other = threading.Thread(target=anyio.run, args=[call])
        other.start()

    def in_child() -> None:
        assert limiter.borrowed_tokens == 0
        assert anyio.run(call) == 0

    _fork_beside(lambda: anyio.run(call), in_child)
    other.join()


@scenario("_portal", "_portal_thread", "_dispatch", actors=3)
def fork_against_stop() -> None:
    """A fork while the default portal is stopped by another thread, and replaced."""
    from gllm_core.concurrency import get_default_portal, syncify

    with calm():
        call = syncify(_one_more)
        call(0)
        portal = get_default_portal()

    def replace() -> None:
        portal.call(portal.stop)
        call(1)

    _fork_beside(replace, bool)


@scenario("_dispatch", "_call", actors=3, quick=True)
def fork_against_a_foreign_portal() -> None:
    """A fork while another thread calls on a portal of the user's: in the child, that is refused at once."""
    from anyio.from_thread import start_blocking_portal

    from gllm_core.concurrency import PortalNotRunningError, syncify

    portals: list[Any] = []

    def own() -> None:
        with start_blocking_portal() as portal:
            portals.append(portal)
            threading.Event().wait()

    with calm():
        threading.Thread(target=own, daemon=True).start()
        time.sleep(1)  # until it waits
        call = syncify(_one_more, portal=portals[0])
        call(0)

    def in_child() -> None:
        try:
            call(1)
        except PortalNotRunningError:
            pass
        else:
            raise AssertionError("a call was answered by the parent's portal")

    _fork_beside(lambda: call(1), in_child)


@scenario("_carrier_thread", "_carrier_thread_steps", "_workers", actors=3)
def fork_in_mid_stream() -> None:
    """A fork while another thread's stream produces: the child can begin its own."""
    from gllm_core.concurrency import asyncify, asyncify_iterator

    def items() -> Iterator[int]:
        yield 1

    async def consume() -> list[Any]:
        return [item async for item in asyncify_iterator(items)()]

    with calm():
        anyio.run(asyncify(int))

    def in_child() -> None:
        assert anyio.run(consume) == [1]

    _fork_beside(lambda: anyio.run(consume), in_child)


@scenario("_dispatch", "_call", "_carrier_task", "_carrier_task_steps", actors=3)
def fork_in_mid_async_stream() -> None:
    """A fork while another thread's stream is produced on the default portal: the child can begin its own."""
    from collections.abc import AsyncIterator

    from gllm_core.concurrency import syncify, syncify_iterator

    async def items() -> AsyncIterator[int]:
        await anyio.lowlevel.checkpoint()
        yield 1

    def consume() -> None:
        assert list(syncify_iterator(items)()) == [1]

    with calm():
        syncify(_one_more)(1)
    _fork_beside(consume, consume)

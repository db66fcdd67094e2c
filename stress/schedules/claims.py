"""Steps of two threads on one call, of which exactly one must win: claims and doorbells."""

from __future__ import annotations

from typing import Any

import anyio.lowlevel

from .model import scenario, together


async def _one_more(x: int) -> int:
    await anyio.lowlevel.checkpoint()
    return x + 1


@scenario("_dispatch", preemptions=2, quick=True)
def two_claims_on_one_call() -> None:
    """The loop starts a call as its caller takes it back: one of them has it."""
    from contextvars import copy_context

    from anyio.from_thread import BlockingPortal

    from gllm_core.concurrency._call import Call
    from gllm_core.concurrency._dispatch import Dispatcher

    portals: list[BlockingPortal] = []

    async def make() -> None:
        async with BlockingPortal() as portal:
            portals.append(portal)

    anyio.run(make)
    dispatcher = Dispatcher(portals[0])
    call = Call(_one_more, (1,), {}, copy_context(), "one_more")
    dispatcher._calls[call] = [None]
    won: list[bool] = []
    together(lambda: won.append(dispatcher._claim(call)), lambda: won.append(dispatcher._claim(call)))
    assert sorted(won) == [False, True]


@scenario("_dispatch", actors=3)
def call_taken_back_against_the_end() -> None:
    """A caller finds the default portal stopped as its end buries what is left: the call runs on the next one."""
    from gllm_core.concurrency import get_default_portal, syncify
    from gllm_core.concurrency._portal import portals

    assert syncify(_one_more)(1) == 2
    portal, dispatcher = get_default_portal(), portals.dispatcher
    assert dispatcher is not None
    portal.call(portal.stop)
    results: list[Any] = []
    together(dispatcher.bury, lambda: results.append(syncify(_one_more)(1)))
    assert results == [2]


@scenario("_call", preemptions=2, quick=True)
def renewal_against_the_ring() -> None:
    """A refused call is renewed by its caller as soon as it is told: the new doorbell is not rung."""
    from contextvars import copy_context

    from gllm_core.concurrency._call import Call

    call = Call(_one_more, (1,), {}, copy_context(), "one_more")

    def renew() -> None:
        if call.done:
            call.renew()

    together(renew, call.ring)
    assert call.done or call.doorbell.locked()

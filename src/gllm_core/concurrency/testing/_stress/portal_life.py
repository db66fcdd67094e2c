"""Calls against the stop, the crash and the replacement of the portal (P2, S1, S4, S5)."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from functools import partial

import anyio
from anyio.from_thread import BlockingPortal

from gllm_core.concurrency import PortalNotRunningError, get_default_portal, syncify

from . import callables
from .history import CANCELLED, NOT_RUNNING
from .rounds import Round, Scenario

CALLS = 12
"""How many calls each caller makes, at most."""

REPLACED_WITHIN_S = 10.0
"""How long a portal that was told to end may still be the default one, in seconds."""


async def _stop(portal: BlockingPortal) -> None:
    await portal.stop()


async def _stop_and_cancel(portal: BlockingPortal) -> None:
    await portal.stop(cancel_remaining=True)


async def _crash(portal: BlockingPortal) -> None:
    """Cancel every task there, that of the portal too."""
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


async def _stop_loop(portal: BlockingPortal) -> None:
    asyncio.get_running_loop().stop()


ENDS: dict[str, tuple[Callable[[BlockingPortal], Awaitable[None]], frozenset[str]]] = {
    "stop": (_stop, frozenset()),
    "stop, cancelling": (_stop_and_cancel, frozenset({CANCELLED})),
    "crash": (_crash, frozenset({CANCELLED, NOT_RUNNING})),
    "stop its loop": (_stop_loop, frozenset({CANCELLED, NOT_RUNNING})),
}
"""How a portal ends, and how a call in flight may end then beside its own outcome."""


def _run(round_: Round) -> None:
    kinds = round_.random.sample(list(ENDS), round_.random.choice((1, 1, 2, 4)))
    may = frozenset[str]().union(*(ENDS[kind][1] for kind in kinds))
    callers = round_.random.choice((1, 2, 4, 8))
    if round_.random.random() < 0.3:
        _scoped(round_, kinds, may | {NOT_RUNNING}, callers)
    else:
        default(round_, kinds, may, callers)


def _call(round_: Round, chosen: random.Random, may: frozenset[str], portal: BlockingPortal | None, only: bool) -> None:
    entry = round_.history.new("syncify" if portal is None else "syncify on a portal", *may, error=round_.error_for(chosen))
    way = callables.coroutine_function(round_, entry, chosen)
    entry.settle(syncify(way) if not only else syncify(way, portal=portal))


def default(round_: Round, kinds: list[str], may: frozenset[str], callers: int) -> None:
    """Callers against one who ends the default portal, in one of *kinds*, again and again."""
    left = [None] * callers
    killed: list[BlockingPortal] = []
    calls = [round_.random.randrange(1, CALLS) for _ in range(callers)]

    def caller(number: int) -> None:
        chosen = round_.random_for(number)
        for _ in range(calls[number]):
            _call(round_, chosen, may, None, False)
        left.pop()

    def killer() -> None:
        chosen = round_.random_for("killer")
        while left and kinds:
            time.sleep(chosen.random() ** 2 * 0.01)
            killed.append(get_default_portal())
            _kill(round_, killed[-1], chosen.choice(kinds))

    with round_.faults.of_threads(may_fail=False):
        round_.in_threads(killer, *[partial(caller, number) for number in range(callers)])
    # Whatever happened to the portals of before, the next user has one that works.
    deadline = time.monotonic() + REPLACED_WITHIN_S
    while get_default_portal() in killed and time.monotonic() < deadline:
        _call(round_, round_.random, may, None, False)
    _call(round_, round_.random, frozenset(), None, False)


def _scoped(round_: Round, kinds: list[str], may: frozenset[str], callers: int) -> None:
    """A portal of the user's own, which ends while it is called, and is not replaced."""
    opened, ended = threading.Event(), threading.Event()
    portals: list[BlockingPortal] = []

    async def live() -> None:
        async with BlockingPortal() as portal:
            portals.append(portal)
            opened.set()
            await portal.sleep_until_stopped()

    def owner() -> None:
        # Not `start_blocking_portal`, which hangs when its portal ends while it wants to stop it.
        with suppress(BaseException):  # whatever it died of; the callers' side is what counts
            anyio.run(live)
        round_.history.note("the portal is gone")
        ended.set()

    def killer() -> None:
        chosen = round_.random_for("killer")
        opened.wait()
        time.sleep(chosen.random() ** 2 * 0.01)
        _kill(round_, portals[0], chosen.choice(kinds))

    def caller(number: int) -> None:
        chosen = round_.random_for(number)
        opened.wait()
        for _ in range(chosen.randrange(1, CALLS)):
            _call(round_, chosen, may, portals[0], True)
        ended.wait()
        entry = round_.history.new("on a dead portal", NOT_RUNNING)
        entry.settle(syncify(callables.coroutine_function(round_, entry, chosen), portal=portals[0]))
        if entry.outcomes[0][1] != NOT_RUNNING:
            round_.history.wrong(f"a dead portal was called, and the call ended with {entry.outcomes[0][1]}")

    round_.in_threads(owner, killer, *[partial(caller, number) for number in range(callers)])


def _kill(round_: Round, portal: BlockingPortal, kind: str) -> None:
    round_.history.note(kind)
    round_.faults.count(f"portal: {kind}")
    # Through the library, as AnyIO's own way waits for ever where the loop has ended but is not closed yet.
    with suppress(PortalNotRunningError, CancelledError):  # somebody was faster, or it has ended its own call, too
        syncify(ENDS[kind][0], portal=portal)(portal)


SCENARIO = Scenario("portal-life", "calls against the stop, the crash and the replacement of the portal", _run)

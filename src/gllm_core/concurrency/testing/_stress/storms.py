"""Cancellation storms: scopes, native cancellations and deadlines, in both modes, below and above each other (A4 to A7, S7)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio

from gllm_core.concurrency import asyncify

from . import callables
from .history import CANCELLED, DEADLINE, Entry
from .rounds import Gauge, Round, Scenario

WAYS = ("scope", "native", "timeout", "wait_for", "move_on_after", "scope and native", "none")


def _run(round_: Round) -> None:
    gauge = round_.gauge(round_.random.choice((1, 3, 40)))
    with round_.faults.of_threads(may_fail=False):
        if round_.random.random() < 0.7:
            asyncio.run(storm(round_, gauge, "main"))
        else:
            round_.in_threads(*[lambda number=number: asyncio.run(storm(round_, gauge, number)) for number in range(3)])


async def storm(round_: Round, gauge: Gauge, name: object) -> None:
    """One loop full of tasks that are cancelled in all ways."""
    chosen = round_.random_for(name)
    default = anyio.to_thread.current_default_thread_limiter()
    default.total_tokens = chosen.choice((2, 40))
    # Plain tasks, as a task group would take a cancellation that belongs to one of them for its own.
    tasks = [asyncio.create_task(_task(round_, gauge, f"{name}.{number}")) for number in range(chosen.choice((1, 5, 30)))]
    for task in asyncio.as_completed(tasks):
        with suppress(asyncio.CancelledError):
            await task
    # Functions whose awaiter has left run on; the tokens of this loop's own limiter must all come back.
    with anyio.move_on_after(10):
        while default.borrowed_tokens:  # noqa: ASYNC110 # no event says that a token has come back
            await asyncio.sleep(0.0005)
    if default.borrowed_tokens:
        round_.history.wrong(f"{default.borrowed_tokens} tokens of the default limiter never came back")


async def _task(round_: Round, gauge: Gauge, name: str) -> None:
    chosen = round_.random_for(name)
    for _ in range(chosen.randrange(1, 4)):
        way = chosen.choice(WAYS)
        cancellable = chosen.random() < 0.5
        entry = round_.history.new(
            f"asyncify{', cancellable' if cancellable else ''}, cancelled by {way}",
            *(() if way == "none" else (CANCELLED, DEADLINE) if way in ("timeout", "wait_for") else (CANCELLED,)),
            waits=not cancellable,
            # `wait_for` of 3.11 awaits in a task of its own, out of which these two end the whole loop.
            error=None if way == "wait_for" else round_.error_for(chosen),
        )
        limited = chosen.random() < 0.5
        function = callables.function(round_, entry, chosen, gauge if limited else None)
        wrapped = asyncify(function, cancellable=cancellable, limiter=gauge.limiter if limited else None)
        await _cancelled(round_, entry, wrapped, way, chosen)


async def _cancelled(
    round_: Round, entry: Entry, wrapped: Callable[[], Awaitable[int]], way: str, chosen: random.Random
) -> None:
    """Await *wrapped*, and have it cancelled in a while, in the way that is asked for."""
    delay_s = chosen.random() ** 3 * 0.005
    if way == "none":
        await entry.settle_async(wrapped())
    elif way == "move_on_after":
        with anyio.move_on_after(delay_s):
            await entry.settle_async(wrapped())
    elif way == "timeout":
        with suppress(TimeoutError):
            async with asyncio.timeout(delay_s):
                await entry.settle_async(wrapped())
    elif way == "wait_for":
        await entry.settle_async(asyncio.wait_for(wrapped(), delay_s))
    elif way == "scope":
        scope = anyio.CancelScope()
        canceller = asyncio.create_task(_later(delay_s, scope.cancel))
        with scope:
            await entry.settle_async(wrapped())
        await canceller
    else:
        await _natively(round_, entry, wrapped, delay_s, both=way == "scope and native")


async def _natively(round_: Round, entry: Entry, wrapped: Callable[[], Awaitable[int]], delay_s: float, *, both: bool) -> None:
    scope = anyio.CancelScope()

    async def awaiter() -> None:
        with scope:
            await entry.settle_async(wrapped())
        await asyncio.sleep(0)  # where a cancellation that came with the value is delivered at the latest

    task = asyncio.create_task(awaiter())
    await asyncio.sleep(delay_s)
    if both:
        scope.cancel()
    asked = task.cancel()
    entry.mark("task.cancel()" if asked else "ended before task.cancel()")
    try:
        await task
    except asyncio.CancelledError:
        if not asked:
            round_.history.wrong(f"call {entry.number} was cancelled, but nobody had asked for that")
    else:
        if asked:
            round_.history.wrong(f"call {entry.number}: its task was cancelled natively, and that was swallowed")
    if not entry.outcomes:
        entry.came(CANCELLED)  # the task was cancelled before it had begun, or the coroutine never was


async def _later(delay_s: float, act: Callable[[], object]) -> None:
    await asyncio.sleep(delay_s)
    act()


SCENARIO = Scenario("storms", "cancellations by scope, natively and by deadline, in both modes", _run)

"""Limiters of 1, 3 and 40 tokens, shared by loops in several threads, with more calls than tokens (A2, A3, A4)."""

from __future__ import annotations

import asyncio
import random

import anyio

from gllm_core.concurrency import asyncify

from . import callables
from .history import CANCELLED
from .rounds import Gauge, Round, Scenario


def _run(round_: Round) -> None:
    gauges = [round_.gauge(tokens) for tokens in round_.random.sample((1, 3, 40), round_.random.choice((1, 1, 2)))]
    loops = round_.random.choice((1, 2, 4))
    with round_.faults.of_threads(may_fail=False):
        round_.in_threads(*[lambda number=number: asyncio.run(loop(round_, gauges, number)) for number in range(loops)])


async def loop(round_: Round, gauges: list[Gauge], number: int) -> None:
    """One of the loops that share the limiters."""
    chosen = round_.random_for(number)
    tasks = chosen.choice((2, 10, 50))
    leaves_early = chosen.random() < 0.2
    # Left early, the loop is closed over functions that still run, on tokens that they must give back all the same.
    scope = anyio.move_on_after(chosen.random() * 0.02 if leaves_early else None)
    with scope:
        async with anyio.create_task_group() as group:
            for task in range(tasks):
                group.start_soon(_task, round_, gauges, f"{number}.{task}", leaves_early)


async def _task(round_: Round, gauges: list[Gauge], name: str, leaves_early: bool) -> None:
    chosen = round_.random_for(name)
    for _ in range(chosen.randrange(1, 6)):
        gauge = chosen.choice(gauges)
        await _call(round_, gauge, chosen, leaves_early)
        if chosen.random() < 0.1:
            await anyio.sleep(chosen.random() * 0.002)


async def _call(round_: Round, gauge: Gauge, chosen: random.Random, leaves_early: bool) -> None:
    cancellable = chosen.random() < 0.3
    impatient = chosen.random() < 0.2
    may = (CANCELLED,) if impatient or leaves_early else ()
    entry = round_.history.new(
        "asyncify, cancellable" if cancellable else "asyncify", *may, waits=not cancellable, error=round_.error_for(chosen)
    )
    wrapped = asyncify(callables.function(round_, entry, chosen, gauge), cancellable=cancellable, limiter=gauge.limiter)
    with anyio.move_on_after(chosen.random() ** 2 * 0.01 if impatient else None):
        await entry.settle_async(wrapped())


SCENARIO = Scenario("saturation", "limiters of 1, 3 and 40 tokens, shared by loops in several threads", _run)

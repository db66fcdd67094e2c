"""Workloads of awaiting callers."""

from __future__ import annotations

import asyncio
import functools
import gc
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from . import peers
from .awaiters import Awaiter, Awaiters, awaiters, limited_awaiters, thread_by_queue, trio_awaiters
from .clocks import Clock, awaited_at_once, awaited_one_after_another, now
from .loops import LoopFactory
from .model import Candidate, Workload

Opened = Callable[[], AbstractContextManager[list[Candidate]]]
IN_FLIGHT = (10, 1, 100, 1_000, 10_000)
"""The first is what the others are compared with."""


def nothing() -> None:
    """The blocking function: what remains is the cost of the call."""


def uvloop_factory() -> asyncio.AbstractEventLoop:
    loop: asyncio.AbstractEventLoop = peers.module("uvloop").new_event_loop()
    return loop


def in_turn(factory: LoopFactory = asyncio.new_event_loop, clock: Clock = now, kinds: Awaiters = awaiters) -> Opened:
    """One task, one call after another; *clock* says what is counted: time, or the CPU time of the loop's thread."""

    @contextmanager
    def opened() -> Iterator[list[Candidate]]:
        with asyncio.Runner(loop_factory=factory) as runner:
            loop = runner.get_loop()
            with thread_by_queue(loop, nothing) as floor:

                def measure(awaiter: Awaiter, n: int) -> float:
                    return runner.run(awaited_one_after_another(awaiter.call, n, clock))

                yield [
                    Candidate(awaiter.name, awaiter.role, functools.partial(measure, awaiter))
                    for awaiter in (*kinds(loop, nothing), floor)
                ]

    return opened


def at_once(width: int, kinds: Awaiters = awaiters) -> Opened:
    """*width* tasks at the same time, gathered."""

    @contextmanager
    def opened() -> Iterator[list[Candidate]]:
        with asyncio.Runner() as runner:

            def measure(awaiter: Awaiter, n: int) -> float:
                return runner.run(awaited_at_once(awaiter.call, n, width))

            yield [
                Candidate(awaiter.name, awaiter.role, functools.partial(measure, awaiter))
                for awaiter in kinds(runner.get_loop(), nothing)
            ]

    return opened


@contextmanager
def without_collector() -> Iterator[list[Candidate]]:
    """The same growth with the garbage collector off: what is left of it is the processor's caches, and AnyIO's limiter."""
    gc.disable()
    with growth() as candidates:
        yield [candidate for candidate in candidates if candidate.name.startswith("asyncify")]


@contextmanager
def growth() -> Iterator[list[Candidate]]:
    """The same call, with ever more of them in flight: ours, and below it that which costs least and that which we build on."""
    with asyncio.Runner() as runner:

        def measure(awaiter: Awaiter, width: int, n: int) -> float:
            return runner.run(awaited_at_once(awaiter.call, max(n, width), width)) * n / max(n, width)

        yield [
            Candidate(f"{awaiter.name}, {width:,} in flight", awaiter.role, functools.partial(measure, awaiter, width))
            for awaiter in awaiters(runner.get_loop(), nothing)
            if awaiter.name in ("asyncify", "anyio.to_thread.run_sync", "asyncio.to_thread")
            for width in IN_FLIGHT
        ]


@contextmanager
def on_trio() -> Iterator[list[Candidate]]:
    trio: Any = peers.module("trio")

    def measure(awaiter: Awaiter, n: int) -> float:
        took_s: float = trio.run(awaited_one_after_another, awaiter.call, n)
        return took_s

    yield [Candidate(a.name, a.role, functools.partial(measure, a)) for a in trio_awaiters(nothing)]


WORKLOADS = [
    Workload("asyncify", "one after another", in_turn()),
    Workload("asyncify-200", "200 at once, default limits", at_once(200), grain=200),
    Workload("asyncify-10000", "10,000 at once, default limits", at_once(10_000), grain=10_000, grow=False),
    Workload(
        "asyncify-limiter",
        "200 at once through a CapacityLimiter(4) or the like",
        at_once(200, functools.partial(limited_awaiters, tokens=4)),
        grain=200,
    ),
    Workload(
        "asyncify-growth",
        "cost per call as more are in flight",
        growth,
        grain=1_000,
        grow=False,
        growth=True,
        settings=("pinned",),
    ),
    Workload(
        "asyncify-growth-no-gc",
        "the same with the garbage collector off",
        without_collector,
        grain=1_000,
        grow=False,
        growth=True,
        settings=("pinned",),
    ),
    Workload("asyncify-cpu", "CPU time of the loop's thread per call, one after another", in_turn(clock=time.thread_time)),
    Workload("asyncify-uvloop", "one after another, on uvloop", in_turn(uvloop_factory)),
    Workload("asyncify-trio", "one after another, on trio", on_trio),
]

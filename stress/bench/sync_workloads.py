"""Workloads of blocking callers."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from anyio.from_thread import BlockingPortal
from anyio.lowlevel import checkpoint

from gllm_core.concurrency import get_default_portal

from .callers import Backend, Caller, CoroutineFunction, callers, ping_pong
from .clocks import now, one_after_another
from .loops import loop_in_thread
from .model import Candidate, Workload

SLEEP_S = 0.001


async def at_once() -> None:
    """Returns without a turn of the loop."""


async def yielding() -> None:
    """Lets the loop turn once."""
    await checkpoint()


async def sleeping() -> None:
    await asyncio.sleep(SLEEP_S)


def in_turn(func: CoroutineFunction, backend: Backend = "asyncio") -> Callable[[], AbstractContextManager[list[Candidate]]]:
    """One thread, one call after another."""

    @contextmanager
    def opened() -> Iterator[list[Candidate]]:
        with ExitStack() as stack:
            found = [*callers(stack, func, backend), stack.enter_context(ping_pong())]
            yield [Candidate(caller.name, caller.role, functools.partial(_in_turn, caller)) for caller in found]

    return opened


def crowd(threads: int) -> Callable[[], AbstractContextManager[list[Candidate]]]:
    """*threads* threads that call at the same time; the figure is the time of all, shared among the calls."""

    @contextmanager
    def opened() -> Iterator[list[Candidate]]:
        with ExitStack() as stack:
            yield [
                Candidate(caller.name, caller.role, functools.partial(_crowd, caller, threads))
                for caller in callers(stack, at_once)
                if caller.name != "floor: eventfd + lock"  # it serves one thread
            ]

    return opened


@contextmanager
def loop_cpu() -> Iterator[list[Candidate]]:
    """CPU time of the loop's thread per call, whatever the callers spend."""
    with ExitStack() as stack:
        loop = stack.enter_context(loop_in_thread())

        async def clock() -> float:
            return time.thread_time()

        def of_loop() -> float:
            return asyncio.run_coroutine_threadsafe(clock(), loop).result()

        def of_portal(portal: BlockingPortal) -> float:
            return portal.call(time.thread_time)

        portal_clock = functools.partial(of_portal, get_default_portal())
        clocks: dict[str, Callable[[], float]] = {"syncify": portal_clock, "BlockingPortal.call": portal_clock}
        found = [caller for caller in callers(stack, at_once) if caller.name in clocks]
        found.append(
            Caller("run_coroutine_threadsafe", "peer", lambda: asyncio.run_coroutine_threadsafe(at_once(), loop).result())
        )
        clocks["run_coroutine_threadsafe"] = of_loop
        yield [Candidate(c.name, c.role, functools.partial(_cpu, c, clocks[c.name])) for c in found]


def _in_turn(caller: Caller, n: int) -> float:
    return caller.on_its_thread(lambda: one_after_another(caller.call, n))


def _cpu(caller: Caller, clock: Callable[[], float], n: int) -> float:
    started = clock()
    one_after_another(caller.call, n)
    return clock() - started


def _crowd(caller: Caller, threads: int, n: int) -> float:
    barrier = threading.Barrier(threads)
    spans: list[tuple[float, float]] = []

    def calls() -> float:
        barrier.wait()
        started = now()
        one_after_another(caller.call, n // threads)
        spans.append((started, now()))
        return 0.0

    crew = [threading.Thread(target=caller.on_its_thread, args=(calls,), name=f"bench-crew-{i}") for i in range(threads)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    if len(spans) < threads:
        raise RuntimeError(f"a thread of {caller.name!r} failed; its traceback is above")
    return max(ended for _, ended in spans) - min(started for started, _ in spans)


WORKLOADS = [
    Workload("syncify", "one after another, the coroutine returns at once", in_turn(at_once)),
    Workload("syncify-yield", "one after another, the coroutine yields once", in_turn(yielding)),
    Workload("syncify-sleep", f"one after another, the coroutine sleeps {SLEEP_S * 1000:g} ms", in_turn(sleeping)),
    Workload("syncify-8", "8 threads at the same time", crowd(8), grain=8),
    Workload("syncify-64", "64 threads at the same time", crowd(64), grain=64),
    Workload("syncify-cpu", "CPU time of the loop's thread per call", loop_cpu),
    Workload("syncify-uvloop", "one after another, on uvloop", in_turn(at_once, "uvloop")),
    Workload("syncify-trio", "one after another, on trio", in_turn(at_once, "trio")),
]

"""Timed loops of calls. The cost of the loop itself is in every candidate's figure.

Pinned to one core, the clock is the CPU time of the process: on an idle core the same as elapsed time, as one thread or
another always runs, and on a core that other programs use, too, still what the calls cost. Free, it is elapsed time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from .model import Setting

Sync = Callable[[], object]
Async = Callable[[], Awaitable[object]]
Clock = Callable[[], float]


_clock: Clock = time.perf_counter


def choose(setting: Setting) -> None:
    """Set the clock of this process."""
    global _clock
    _clock = time.process_time if setting == "pinned" else time.perf_counter


def name() -> str:
    """What this process's clock is called in the module `time`."""
    return _clock.__name__


def now() -> float:
    return _clock()


def one_after_another(call: Sync, n: int) -> float:
    started = now()
    for _ in range(n):
        call()
    return now() - started


async def awaited_one_after_another(call: Async, n: int, clock: Clock = now) -> float:
    started = clock()
    for _ in range(n):
        await call()
    return clock() - started


async def awaited_at_once(call: Async, n: int, width: int, clock: Clock = now) -> float:
    """*n* calls, *width* of them in flight at a time: all start together, all end before the next start."""
    started = clock()
    for _ in range(n // width):
        await asyncio.gather(*(call() for _ in range(width)))
    return clock() - started

"""The functions and coroutine functions that scenarios call: each does its part, tells its entry, and gives its own outcome."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack

import anyio
from anyio.lowlevel import checkpoint

from gllm_core.concurrency import asyncify, syncify

from .history import Entry
from .rounds import Gauge, Round


def function(round_: Round, entry: Entry, chosen: random.Random, gauge: Gauge | None = None) -> Callable[[], int]:
    """A blocking function that takes a while, in one of several ways."""
    way = chosen.choice(("at once", "at once", "sleep", "nap", "garbage", "syncify"))
    naps_s = [chosen.random() ** 3 * 0.005 for _ in range(3)]

    def blocking() -> int:
        with ExitStack() as stack:
            stack.enter_context(entry.running())
            if gauge is not None:
                stack.enter_context(gauge.running())
            if way == "sleep":
                time.sleep(naps_s[0])
            elif way == "nap":
                for nap_s in naps_s:
                    time.sleep(nap_s / 10)
            elif way == "garbage":
                gc.collect(0)
                round_.faults.count("garbage collection")
            elif way == "syncify":
                syncify(anyio.sleep)(naps_s[0] / 4)
            return entry.result()

    blocking.__qualname__ = f"call_{entry.number}"
    return blocking


def coroutine_function(round_: Round, entry: Entry, chosen: random.Random) -> Callable[[], Awaitable[int]]:
    """A coroutine function that takes a while, in one of several ways; at any of its awaits it may raise."""
    way = chosen.choice(("at once", "at once", "turns", "turns", "sleep", "asyncify", "starve", "finally"))
    turns = chosen.randrange(1, 6)
    nap_s = chosen.random() ** 3 * 0.005

    async def coroutine() -> int:
        with entry.running():
            if way == "turns":
                for _ in range(turns):
                    await checkpoint()
            elif way == "sleep":
                await anyio.sleep(nap_s)
            elif way == "asyncify":
                await asyncify(time.sleep)(nap_s / 4)
            elif way == "starve":
                round_.faults.starve()
            elif way == "finally":
                try:
                    await anyio.sleep(nap_s)
                finally:
                    with anyio.CancelScope(shield=True):
                        await checkpoint()
            return entry.result()

    coroutine.__qualname__ = f"call_{entry.number}"
    return coroutine

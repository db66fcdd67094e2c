"""A program that ends at a random moment, with calls in flight. Its argument seeds what it does: `python -m ... SEED`."""

from __future__ import annotations

import asyncio
import atexit
import os
import random
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from typing import NamedTuple

import anyio

from gllm_core.concurrency import asyncify, get_default_portal, syncify


class Plan(NamedTuple):
    """What the program does, how it ends, and its exit status."""

    doings: tuple[str, ...]
    end: str
    status: int
    delay_s: float


ENDS = {"the end of main": 0, "sys.exit(7)": 7, "os._exit(5)": 5, "SIGTERM": -signal.SIGTERM}


def plan(seed: str) -> Plan:
    """What the program of that seed does."""
    chosen = random.Random(f"exit {seed}")
    doings = tuple(chosen.choices(list(DOINGS), k=chosen.randrange(1, 4)))
    end = chosen.choice(list(ENDS))
    return Plan(doings, end, ENDS[end], chosen.random() ** 3 * 0.05)


async def _endless() -> None:
    try:
        await anyio.sleep_forever()
    finally:
        await asyncio.sleep(0)


async def _turns() -> None:
    while True:  # noqa: ASYNC110 # to keep the loop busy is the point
        await asyncio.sleep(0)


async def _abandoned() -> None:
    with anyio.move_on_after(0.005):
        await asyncify(time.sleep, cancellable=True)(60)


async def _below() -> None:
    await asyncify(syncify(_endless))()


def _in_thread(function: Callable[[], object]) -> None:
    threading.Thread(target=function, daemon=True).start()


def _first_use() -> None:
    for _ in range(3):
        _in_thread(get_default_portal)


DOINGS: dict[str, Callable[[], object]] = {
    "nothing": lambda: None,
    "a finished call": lambda: syncify(anyio.sleep)(0),
    "an endless call": lambda: _in_thread(syncify(_endless)),
    "a busy call": lambda: _in_thread(syncify(_turns)),
    "a call below a call": lambda: _in_thread(syncify(_below)),
    "an abandoned function": lambda: syncify(_abandoned)(),
    "a loop in a thread": lambda: _in_thread(lambda: asyncio.run(_below())),
    "a race of first uses": _first_use,
    "a call at exit": lambda: atexit.register(syncify(anyio.sleep), 0),
    "a stopped portal": lambda: get_default_portal().call(get_default_portal().stop),
}


def main() -> None:
    """Do what the seed says, then end."""
    warnings.simplefilter("ignore")
    chosen = plan(sys.argv[1])
    for doing in chosen.doings:
        DOINGS[doing]()
    time.sleep(chosen.delay_s)
    if chosen.end == "sys.exit(7)":
        sys.exit(7)
    if chosen.end == "os._exit(5)":
        os._exit(5)
    if chosen.end == "SIGTERM":
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)


if __name__ == "__main__":
    main()

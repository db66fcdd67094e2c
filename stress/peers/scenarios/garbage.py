"""Whether a call keeps anything alive. The collector is off: only what is in no cycle dies."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ..model import Library
from ..scene import fails, scenario

GROUP = "Outcomes and context"
PATIENCE_S = 2.0
"""How long a thread on its way back to its pool may hold what it worked on, in seconds."""


class _Thing:
    pass


class _Error(Exception):
    pass


class _Deaths:
    def __init__(self) -> None:
        self._seen: dict[str, weakref.ref[object]] = {}

    def watch(self, **objects: object) -> None:
        self._seen |= {name: weakref.ref(thing) for name, thing in objects.items()}

    def alive(self) -> list[str]:
        return [name for name, ref in self._seen.items() if ref() is not None]

    def report(self) -> None:
        kept = self.alive()
        if not kept:
            return
        gc.collect()
        rest = self.alive()
        how = "a reference cycle, which a collection freed" if not rest else "something that a collection did not free"
        fails(f"kept alive: {' and '.join(kept)}, by {how}")


@scenario(
    "A10", "After an awaited call nothing keeps argument, value or exception alive, with the garbage collector off", group=GROUP
)
def garbage_of_threads(library: Library) -> None:
    deaths = _Deaths()

    def give(argument: _Thing) -> _Thing:
        value = _Thing()
        deaths.watch(argument=argument, value=value)
        return value

    def fail(argument: _Thing) -> None:
        error = _Error()
        deaths.watch(**{"the failed call's argument": argument, "exception": error})
        try:
            raise error
        finally:
            del error

    async def main() -> None:
        await library.awaitable(give)(_Thing())
        with suppress(_Error):
            await library.awaitable(fail)(_Thing())
        end = time.monotonic() + PATIENCE_S
        while deaths.alive() and time.monotonic() < end:  # noqa: ASYNC110 # nobody tells of a death
            await asyncio.sleep(0.01)

    def watched() -> None:
        gc.collect()
        gc.disable()
        library.run(main)

    watched()
    deaths.report()


@scenario(
    "S12",
    "After a synchronous call nothing keeps argument, value or exception alive, with the garbage collector off",
    group=GROUP,
)
def garbage_of_loops(library: Library) -> None:
    deaths = _Deaths()

    async def give(argument: _Thing) -> _Thing:
        await asyncio.sleep(0)
        value = _Thing()
        deaths.watch(argument=argument, value=value)
        return value

    async def fail(argument: _Thing) -> None:
        await asyncio.sleep(0)
        error = _Error()
        deaths.watch(**{"the failed call's argument": argument, "exception": error})
        try:
            raise error
        finally:
            del error

    def calls(call: Callable[..., Any]) -> None:
        call(give, _Thing())
        with suppress(_Error):
            call(fail, _Thing())

    with library.opened() as call:
        gc.collect()
        gc.disable()
        calls(call)
        end = time.monotonic() + PATIENCE_S
        while deaths.alive() and time.monotonic() < end:
            time.sleep(0.01)
        deaths.report()

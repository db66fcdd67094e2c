"""Synchronous calls where a loop runs: on the loop's own thread, and on that of another."""

from __future__ import annotations

import asyncio

from ..model import Library
from ..scene import InThread, fails, one, scenario, shown

GROUP = "Threads and loops"


def _reentrant(library: Library) -> InThread:
    with library.opened() as call:

        async def outer() -> int:
            return int(call(one))

        inner = InThread(lambda: call(outer))
        if not inner.ended():
            fails("deadlock")
        return inner


@scenario(
    "S8",
    "A synchronous call made by a coroutine of the same loop, on its thread, does not deadlock: it works or is refused",
    group=GROUP,
)
def reentrant_ends(library: Library) -> None:
    _reentrant(library)


@scenario("S8", "the same, and it works", group=GROUP)
def reentrant_works(library: Library) -> None:
    inner = _reentrant(library)
    if inner.error is not None:
        fails(f"refused: {shown(inner.error)}")


@scenario("S9", "A synchronous call on a thread whose own, other loop is running works", group=GROUP)
def on_another_loop(library: Library) -> None:
    with library.opened() as call:

        async def main() -> int:
            return int(call(one))

        inner = InThread(lambda: asyncio.run(main()))
        if not inner.ended():
            fails("the call hung")
        if inner.error is not None:
            fails(f"refused: {shown(inner.error)}")

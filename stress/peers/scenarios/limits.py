"""How many functions run at the same time, and what becomes of nested calls when all threads are taken."""

from __future__ import annotations

import asyncio

from ..model import Async, Library
from ..scene import ABSENCE_S, WAIT_S, Gate, call_once, fails, happened, must_happen, scenario, within_limit

GROUP = "Limits"
WIDTH = 100
DEPTH = 50


async def _second_waits(library: Library, first: Gate, call: Async, limit: object) -> None:
    task = asyncio.ensure_future(call_once(call))
    await must_happen(first.entered, "the function did not start")
    task.cancel()
    await asyncio.wait([task], timeout=ABSENCE_S)
    second = Gate()
    after = asyncio.ensure_future(call_once(library.limited(second, limit)))
    together = await happened(second.entered, ABSENCE_S)
    first.leave.set()
    second.leave.set()
    await asyncio.wait([task], timeout=WAIT_S)
    await within_limit(after, "the next call never got a thread")
    if together:
        fails("two functions ran at the same time under a limit of one")


@scenario(
    "A3",
    "A limit counts the functions that run: not one more runs because an awaiter was cancelled by `task.cancel()`",
    group=GROUP,
)
def limit_after_cancel(library: Library) -> None:
    async def main() -> None:
        first, limit = Gate(), library.limit(1)
        await _second_waits(library, first, library.limited(first, limit), limit)

    library.run(main)


@scenario("A3", "the same in the form whose awaiter leaves when cancelled", group=GROUP)
def limit_after_abandoning(library: Library) -> None:
    async def main() -> None:
        first, limit = Gate(), library.limit(1)
        await _second_waits(library, first, library.abandonable(first, limit), limit)

    library.run(main)


@scenario(
    "A13",
    f"Nesting in width: {WIDTH} functions at once, each calling a coroutine that awaits a function, end on the default pool",
    group=GROUP,
)
def nesting_width(library: Library) -> None:
    async def main() -> None:
        async def middle() -> int:
            return int(await library.awaitable(lambda: 1)())

        below = library.below(middle)
        tasks = [asyncio.ensure_future(call_once(library.awaitable(below))) for _ in range(WIDTH)]
        done, pending = await asyncio.wait(tasks, timeout=2 * WAIT_S)
        if pending:
            fails(f"deadlock: {len(done)} of {WIDTH} ended")
        for task in done:
            task.result()

    library.run(main)


@scenario(
    "A13", f"Nesting in depth: function, coroutine, function ... {DEPTH} functions deep, on the default pool", group=GROUP
)
def nesting_depth(library: Library) -> None:
    reached = 0

    async def main() -> None:
        async def level(depth: int) -> None:
            nonlocal reached
            reached = max(reached, depth)
            if depth < DEPTH:
                below = library.below(level)
                await library.awaitable(lambda: below(depth + 1))()

        task = asyncio.ensure_future(level(0))
        done, _ = await asyncio.wait([task], timeout=2 * WAIT_S)
        if not done:
            fails(f"deadlock at depth {reached}")
        task.result()

    library.run(main)

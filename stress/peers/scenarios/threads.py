"""The threads themselves."""

from __future__ import annotations

import threading

from ..model import Library, NotOffered
from ..scene import WAIT_S, InThread, fails, one, scenario

GROUP = "Threads and loops"
CALLERS = 50


@scenario("A12", "Worker threads are daemonic", group=GROUP)
def daemonic(library: Library) -> None:
    async def main() -> None:
        if not await library.awaitable(lambda: threading.current_thread().daemon)():
            fails("they are not")

    library.run(main)


@scenario("A11", "The same function can be awaited under trio", group=GROUP)
def trio(library: Library) -> None:
    if library.trio is not None:
        raise NotOffered(library.trio)
    import trio as loop

    async def main() -> int:
        return int(await library.awaitable(lambda: 1)())

    loop.run(main)


@scenario(
    "P1",
    f"The loop for the whole process: {CALLERS} threads that use it first, all at once, start one loop, and are served",
    group=GROUP,
)
def first_use(library: Library) -> None:
    if library.shared is not None:
        raise NotOffered(library.shared)
    barrier = threading.Barrier(CALLERS)

    async def where() -> int:
        return threading.get_ident() * await one()

    with library.opened() as call:

        def use() -> int:
            barrier.wait(WAIT_S)
            return int(call(where))

        callers = [InThread(use) for _ in range(CALLERS)]
        found = {caller.result("a first user hung") for caller in callers}
    if len(found) != 1:
        fails(f"{len(found)} loops were started")

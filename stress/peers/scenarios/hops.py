"""Cancellation that has a way to go: through threads and loops, into a function, and out of a thread that waits."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time

from anyio.from_thread import check_cancelled as check_cancelled_now

from ..model import Library, NotOffered
from ..scene import ABSENCE_S, WAIT_S, Endless, fails, must_happen, scenario, shown, within_limit
from .ways import Way, scope_of_anyio, timeout_of_asyncio

GROUP = "Cancellation"

AT_REST_S = 0.3
"""How long the waiting thread has to come to rest before Ctrl-C, in seconds. CPython itself can lose a signal just before."""


def _reaches_through(library: Library, cancel: Way) -> None:
    async def main() -> None:
        endless = Endless()
        below = library.below(endless.run)

        async def ready() -> None:
            await must_happen(endless.began, "the coroutine did not start")

        task = await cancel(library.passing_on(below), ready)
        await must_happen(endless.cancelled, "the coroutine at the end of the chain was not cancelled")
        try:
            await within_limit(task, "the awaiter did not end")
        except asyncio.CancelledError:
            return
        except BaseException as error:  # noqa: BLE001 # whatever it is
            fails(f"the awaiter got {shown(error)} in place of its cancellation")
        fails("the awaiter was not cancelled")

    library.run(main)


@scenario(
    "S7", "`asyncio.timeout` around await, worker thread, synchronous call, coroutine: the coroutine is cancelled", group=GROUP
)
def hops_timeout(library: Library) -> None:
    _reaches_through(library, timeout_of_asyncio)


@scenario("S7", "the same with an AnyIO cancel scope", group=GROUP)
def hops_scope(library: Library) -> None:
    _reaches_through(library, scope_of_anyio)


@scenario("A7", "The function can ask whether its awaiter was cancelled", group=GROUP)
def check_cancelled(library: Library) -> None:
    if library.trio is not None:  # the question is AnyIO's
        raise NotOffered("there is no such question")
    entered, over, saw = threading.Event(), threading.Event(), threading.Event()

    def ask() -> None:
        entered.set()
        while not over.is_set():
            try:
                check_cancelled_now()
            except BaseException:
                saw.set()
                raise
            time.sleep(0.002)

    async def main() -> None:
        async def ready() -> None:
            await must_happen(entered, "the function did not start")

        task = await scope_of_anyio(library.awaitable(ask), ready)
        try:
            await must_happen(saw, "it was not told")
        finally:
            over.set()
        await asyncio.wait([task], timeout=WAIT_S)

    library.run(main)


@scenario(
    "S6",
    "Ctrl-C while a synchronous call waits: when `KeyboardInterrupt` is raised, the coroutine's `finally` is done",
    group=GROUP,
)
def interrupt(library: Library) -> None:
    endless = Endless()

    def press() -> None:
        endless.began.wait(WAIT_S)
        time.sleep(AT_REST_S)
        os.kill(os.getpid(), signal.SIGINT)

    with library.opened() as call:
        threading.Thread(target=press, daemon=True).start()
        try:
            call(endless.run)
        except KeyboardInterrupt:
            clean = endless.cleaned.is_set()
        else:
            fails("the call returned")
    if clean:
        return
    if endless.cancelled.wait(ABSENCE_S):
        fails("KeyboardInterrupt was raised while the coroutine ran on; closing the loop cancelled it later")
    fails("KeyboardInterrupt was raised, and the coroutine runs on")

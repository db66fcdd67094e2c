"""Classic bugs between threads and event loops."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import Future
from typing import Any

import anyio
import anyio.lowlevel
from anyio.from_thread import BlockingPortal

from explore.catalogue import Catalogue
from gllm_core.concurrency.testing.explore import Kind

catalogue = Catalogue(__name__)


@catalogue.add(Kind.DEADLOCK, traced=False)
def call_soon_from_another_thread(fixed: bool) -> None:
    """`call_soon` does not wake a loop that sleeps."""

    async def main() -> None:
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        schedule = loop.call_soon_threadsafe if fixed else loop.call_soon
        thread = threading.Thread(target=lambda: schedule(done.set))
        thread.start()
        await done.wait()

    asyncio.run(main(), debug=False)  # where debugging, asyncio sees it itself


@catalogue.add(Kind.EXCEPTION, traced=False)
def callback_after_close(fixed: bool) -> None:
    """The loop is closed by the time that the thread answers."""
    expected: Any = contextlib.suppress(RuntimeError) if fixed else contextlib.nullcontext()

    async def main() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    def answer(loop: asyncio.AbstractEventLoop) -> None:
        with expected:
            loop.call_soon_threadsafe(int)

    async def run() -> threading.Thread:
        thread = threading.Thread(target=answer, args=[asyncio.get_running_loop()])
        thread.start()
        return thread

    asyncio.run(run()).join()


@catalogue.add(Kind.DEADLOCK, traced=False)
def answer_dropped_by_the_close(fixed: bool) -> None:
    """A wake-up that the loop accepted, and closed over: whoever waits for it must not wait for ever."""
    answer: Future[int] = Future()

    async def main() -> threading.Thread:
        loop = asyncio.get_running_loop()

        def ask() -> None:
            with contextlib.suppress(RuntimeError, TimeoutError):
                loop.call_soon_threadsafe(answer.set_result, 1)
                answer.result(timeout=1 if fixed else None)

        thread = threading.Thread(target=ask)
        thread.start()
        return thread

    asyncio.run(main()).join()


@catalogue.add(traced=False, preemptions=1)
def cancellation_lost(fixed: bool) -> None:
    """A wait that swallows the cancellation that came with the answer."""
    cancelled: list[bool] = []

    async def wait(answer: asyncio.Future[None]) -> None:
        try:
            await asyncio.shield(answer)
        except asyncio.CancelledError:
            if fixed or not answer.done():
                raise

    async def main() -> None:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[None] = loop.create_future()
        task = loop.create_task(wait(answer))
        await asyncio.sleep(0)

        def respond() -> None:
            loop.call_soon_threadsafe(answer.set_result, None)

        thread = threading.Thread(target=respond)
        thread.start()
        task.cancel()
        await asyncio.sleep(0)
        with contextlib.suppress(asyncio.CancelledError):
            await task
        cancelled.append(task.cancelled())
        await loop.run_in_executor(None, thread.join)

    asyncio.run(main())
    assert cancelled == [True]


@catalogue.add(Kind.DEADLOCK, traced=False, preemptions=1)
def loop_waits_for_a_thread_that_waits_for_it(fixed: bool) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        def work() -> None:
            asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result()

        thread = threading.Thread(target=work)
        thread.start()
        if fixed:
            await loop.run_in_executor(None, thread.join)
        else:
            thread.join()

    asyncio.run(main())


@catalogue.add(Kind.LEAK, traced=False, faults=["wake-up"])
def wake_up_that_fails(fixed: bool) -> None:
    """The wake-up raises, and nobody tells the one who waits."""
    answer: Future[int] = Future()

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def ask() -> None:
            try:
                loop.call_soon_threadsafe(answer.set_result, 1)
            except RuntimeError:
                if fixed:
                    answer.set_result(2)
            answer.result()

        thread = threading.Thread(target=ask)
        thread.start()
        await asyncio.sleep(1)

    asyncio.run(main())


@catalogue.add(Kind.DEADLOCK, traced=False, preemptions=3)
def anyio_portal_call_against_close(fixed: bool) -> None:
    """On real AnyIO: a call that is accepted after the loop's last turn and before its close is never answered."""
    ready = threading.Event()
    portals: list[BlockingPortal] = []

    async def main() -> None:
        async with BlockingPortal() as portal:
            portals.append(portal)
            ready.set()
            await anyio.lowlevel.checkpoint()
            if fixed:  # whoever stops the portal has no other calls on the way
                await portal.sleep_until_stopped()

    def call() -> None:
        ready.wait()
        with contextlib.suppress(RuntimeError):
            if fixed:
                portals[0].call(portals[0].stop)
            else:
                portals[0].call(int)

    thread = threading.Thread(target=call)
    thread.start()
    anyio.run(main)
    thread.join()

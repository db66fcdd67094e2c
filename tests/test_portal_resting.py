"""Portals of the user's own whose loop runs now and then, on one thread or another."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable
from typing import Any, TypeVar

import anyio
from anyio.from_thread import BlockingPortal

from gllm_core.concurrency import PortalNotRunningError, asyncify, syncify, syncify_iterator
from handshakes import WAIT_S, Gate, happened, turns
from outcomes import outcome_of
from test_dispatch_further import seven
from test_limiter_lending import set_default_tokens

T = TypeVar("T")


def test_a_thread_does_not_wait_for_a_loop_that_it_would_have_to_run() -> None:
    """A portal whose loop this thread has run, and does not run now, is refused at once; another thread waits its turn.

    proves: S4
    """
    with RestingPortal() as resting:
        call = syncify(seven, portal=resting.portal)
        for _ in range(2):
            assert_refused(outcome_of(call))
        assert resting.run(asyncio.wait_for(asyncio.to_thread(call), WAIT_S)) == 7
        assert_refused(outcome_of(call))


def test_a_stream_does_not_wait_for_a_loop_that_its_thread_would_have_to_run() -> None:
    """The next item of a stream that was begun while the loop ran is refused on the loop's thread; its source is closed when
    the loop runs again. proves: S4, I3
    """
    closed = threading.Event()

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.set()

    with RestingPortal() as resting:
        stream = syncify_iterator(numbers, portal=resting.portal)()
        assert resting.run(asyncio.wait_for(asyncio.to_thread(next, stream), WAIT_S)) == 1
        assert_refused(outcome_of(lambda: next(stream)))
        assert not closed.is_set()
    assert closed.is_set()


def test_a_loop_that_has_moved_to_another_thread_serves_the_one_it_left() -> None:
    """A portal whose loop runs on another thread now may be waited for by the thread that ran it before. proves: S2, S4"""
    with RestingPortal() as resting:
        loop = resting.loop
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        running = threading.Event()
        loop.call_soon_threadsafe(running.set)
        assert running.wait(WAIT_S)
        assert syncify(seven, portal=resting.portal)() == 7
        loop.call_soon_threadsafe(loop.stop)
        thread.join(WAIT_S)
        assert not thread.is_alive()


def test_a_lender_does_not_wait_for_the_loop_of_its_borrower_to_turn() -> None:
    """The token that was lent to an abandoned function is back when that returns, though its loop rests. proves: A13, S4"""
    gate, abandoned, over = Gate(), threading.Event(), threading.Event()

    async def abandons() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(asyncify(gate, cancellable=True))
            await gate.running()
            tasks.cancel_scope.cancel()
        abandoned.set()

    async def until_it_is_abandoned() -> None:
        await happened(abandoned)
        await turns()

    with RestingPortal() as resting:

        def lends() -> None:
            syncify(abandons, portal=resting.portal)()
            over.set()

        resting.run(set_default_tokens(1))
        lender = resting.loop.create_task(asyncify(lends)())
        resting.run(until_it_is_abandoned())
        assert not over.is_set()
        gate.leave.set()
        assert over.wait(WAIT_S)
        resting.run(lender)


class RestingPortal:
    """A portal on this thread's loop, which runs now and then."""

    portal: BlockingPortal

    def __enter__(self) -> RestingPortal:
        self.loop = asyncio.new_event_loop()
        self._begun = self.loop.create_future()
        self._serving = self.loop.create_task(self._serve())
        self.run(self._begun)
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self.portal.stop())
        self.run(self._serving)
        self.loop.close()

    def run(self, awaitable: Awaitable[T]) -> T:
        return self.loop.run_until_complete(awaitable)

    async def _serve(self) -> None:
        async with BlockingPortal() as self.portal:
            self._begun.set_result(None)
            await self.portal.sleep_until_stopped()


def assert_refused(outcome: tuple[str, Any]) -> None:
    kind, error = outcome
    assert kind == "error"
    assert isinstance(error, PortalNotRunningError)
    assert "would wait for it" in str(error)

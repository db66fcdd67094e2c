"""Blocking functions that tests hold in their hands, and bounded waits that leave the loop free."""

from __future__ import annotations

import os
import threading

import anyio
from anyio import CapacityLimiter
from anyio.lowlevel import checkpoint

WAIT_S = float(os.environ.get("GLLM_TESTS_WAIT_S", "30"))
"""How long a test waits for what must happen, in seconds, at most; less under sabotage, where it does not."""

WAIT_FOR_TOKENS_S = 5.0
"""How long tokens may take to come back, in seconds: hypothesis waits that long for every example that fails."""


class Gate:
    """A blocking function that says when it runs, and where, and returns, or raises, when it is let go."""

    thread: threading.Thread

    def __init__(self, error: BaseException | None = None) -> None:
        self.entered, self.leave, self.left = threading.Semaphore(0), threading.Event(), threading.Event()
        self.error = error

    def __call__(self) -> str:
        self.thread = threading.current_thread()
        self.entered.release()
        try:
            assert self.leave.wait(WAIT_S), "nobody let the function go"
            if self.error is not None:
                raise self.error
            return "through"
        finally:
            self.left.set()

    async def running(self) -> None:
        """Wait, without blocking the loop, until one more call of the function runs."""
        entered = await anyio.to_thread.run_sync(self.entered.acquire, True, WAIT_S, limiter=CapacityLimiter(1))
        assert entered, "the function did not start"


class Running:
    """Counts how many functions run at the same time, and how many ran; *together* of them meet at a barrier."""

    def __init__(self, together: int) -> None:
        self._lock, self._now, self.peak, self.ran = threading.Lock(), 0, 0, 0
        self._barrier = threading.Barrier(together)

    def __call__(self) -> None:
        with self._lock:
            self._now += 1
            self.peak = max(self.peak, self._now)
        self._barrier.wait(WAIT_S)
        with self._lock:
            self._now -= 1
            self.ran += 1


async def happened(event: threading.Event) -> None:
    """Wait, without blocking the loop, until *event* is set."""
    assert await anyio.to_thread.run_sync(event.wait, WAIT_S, limiter=CapacityLimiter(1)), "it did not happen"


async def turns(count: int = 20) -> None:
    """Let the loop turn, so that what could go wrong has had its chance."""
    for _ in range(count):
        await checkpoint()


async def waiting(limiter: CapacityLimiter, count: int = 1) -> None:
    """Wait until *count* tasks wait for a token."""
    with anyio.fail_after(WAIT_S):
        while limiter.statistics().tasks_waiting < count:
            await checkpoint()


async def all_tokens_come_back(limiter: CapacityLimiter) -> None:
    """Wait until each token has been free once, all of them together, and none is borrowed any more."""
    holders = [object() for _ in range(int(limiter.total_tokens))]
    with anyio.fail_after(WAIT_FOR_TOKENS_S):
        for holder in holders:
            await limiter.acquire_on_behalf_of(holder)
    for holder in holders:
        limiter.release_on_behalf_of(holder)
    assert limiter.borrowed_tokens == 0, limiter.statistics()

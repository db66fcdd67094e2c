"""A function that returns when the loop of its awaiter stands still, or is closed."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

import anyio
import pytest
from anyio import CapacityLimiter
from anyio.lowlevel import checkpoint

from gllm_core.concurrency import asyncify
from handshakes import WAIT_S, waiting
from ways_in import note_wakes


class Abandoned:
    """Functions that wait for their gates, abandoned on a loop that stands still from then on."""

    def __init__(self, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.limiter = CapacityLimiter(count)
        self.gates = [threading.Event() for _ in range(count)]
        self.woken = threading.Event()
        self._running = threading.Semaphore(0)
        self.loop = asyncio.new_event_loop()
        self.loop.run_until_complete(self._abandon())
        note_wakes(monkeypatch, self.loop, self.woken.set)

    def _wait(self, gate: threading.Event) -> None:
        self._running.release()
        assert gate.wait(WAIT_S)

    async def _abandon(self) -> None:
        function = asyncify(self._wait, cancellable=True, limiter=self.limiter)
        tasks = [asyncio.ensure_future(function(gate)) for gate in self.gates]
        for _ in tasks:
            while not self._running.acquire(blocking=False):
                await checkpoint()
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def use_all_tokens(self, *gates: threading.Event) -> int:
        """Run as many functions at once as there are tokens; open *gates* once one of them waits for its token."""
        together = threading.Barrier(len(self.gates))
        with anyio.fail_after(WAIT_S):
            async with anyio.create_task_group() as group:
                for _ in self.gates:
                    group.start_soon(asyncify(together.wait, limiter=self.limiter), WAIT_S)
                if gates:
                    await waiting(self.limiter)
                for gate in gates:
                    gate.set()
        return self.limiter.borrowed_tokens


def test_a_report_that_was_dropped_with_its_loop_costs_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that returns while its loop stands still gives its token to the next loop. proves: A3"""
    abandoned = Abandoned(1, monkeypatch)
    abandoned.gates[0].set()
    assert abandoned.woken.wait(WAIT_S)
    abandoned.loop.close()
    assert anyio.run(abandoned.use_all_tokens) == 0


def test_a_report_that_came_in_the_last_turn_of_its_loop_costs_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that returns while its loop turns for the last time gives its token to the next loop. proves: A3"""
    abandoned = Abandoned(1, monkeypatch)

    def last_turn() -> None:
        abandoned.gates[0].set()
        abandoned.woken.wait(WAIT_S)
        abandoned.loop.stop()

    abandoned.loop.call_soon(last_turn)
    abandoned.loop.run_forever()
    assert abandoned.woken.is_set()
    abandoned.loop.close()
    assert anyio.run(abandoned.use_all_tokens) == 0


def test_a_report_after_one_that_was_dropped_costs_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that returns after its loop was closed wakes a waiter of another, though a report was dropped. proves: A3"""
    abandoned = Abandoned(2, monkeypatch)
    abandoned.gates[0].set()
    assert abandoned.woken.wait(WAIT_S)
    abandoned.loop.close()
    assert anyio.run(abandoned.use_all_tokens, abandoned.gates[1]) == 0


def test_a_loop_that_goes_on_hears_what_returned_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that stood still when its function returned takes the token back when it runs again. proves: A3"""
    abandoned = Abandoned(1, monkeypatch)
    abandoned.gates[0].set()
    assert abandoned.woken.wait(WAIT_S)
    try:
        assert abandoned.loop.run_until_complete(abandoned.use_all_tokens()) == 0
    finally:
        abandoned.loop.close()

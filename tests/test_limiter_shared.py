"""One limiter, shared by the loops of several threads, or outliving the loop that used it first."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from anyio import CapacityLimiter
from anyio.lowlevel import checkpoint

from gllm_core.concurrency import _turnstile, asyncify
from gllm_core.concurrency._inflight import Job
from gllm_core.concurrency._threadcall import ThreadCall
from gllm_core.concurrency._turnstile import Turnstile, turnstile_of
from handshakes import WAIT_S, Gate, Running, happened, waiting


def in_threads(*mains: Callable[[], Any], backend_options: dict[str, Any] | None = None) -> list[BaseException]:
    """Run each of *mains* on an asyncio loop in a thread of its own; return what they raise. Bounded."""
    errors: list[BaseException] = []

    def run(main: Callable[[], Any]) -> None:
        try:
            anyio.run(main, backend_options=backend_options)
        except BaseException as error:  # noqa: BLE001 # reported by the caller
            errors.append(error)

    threads = [threading.Thread(target=run, args=(main,), daemon=True) for main in mains]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * WAIT_S)
        assert not thread.is_alive()
    return errors


@pytest.mark.parametrize("debug", [False, True])
def test_a_token_freed_on_one_loop_wakes_a_waiter_on_another(debug: bool) -> None:
    """A call that waits on one loop gets the token that a function of another loop gives back. proves: A3, A11"""
    limiter = CapacityLimiter(1)
    gate, waits = Gate(), threading.Event()
    got: list[int] = []

    async def first() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(asyncify(gate, limiter=limiter))
            await happened(waits)
            gate.leave.set()

    async def second() -> None:
        with anyio.fail_after(WAIT_S):
            await gate.running()
            async with anyio.create_task_group() as group:
                group.start_soon(asyncify(got.append, limiter=limiter), 1)
                await waiting(limiter)
                waits.set()

    assert in_threads(first, second, backend_options={"debug": debug}) == []
    assert got == [1]
    assert limiter.borrowed_tokens == 0


BACKENDS = [("asyncio", "trio"), ("trio", "asyncio")]


async def waits_outside(limiter: CapacityLimiter) -> None:
    """Wait until a task waits for a token of *limiter*, but not in it."""
    turnstile = turnstile_of(limiter)
    with anyio.fail_after(WAIT_S):
        while not any(place.freed is not None for place in list(turnstile._queue)):
            await checkpoint()


@pytest.mark.parametrize(("first", "second"), BACKENDS)
def test_a_limiter_that_was_used_by_another_backend_makes_wait(
    first: str, second: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limiter is of the backend that used it first; those of another one wait for its tokens all the same: a cancelled one
    leaves at once, and all others are told when it is their turn. proves: A3, A4, A11
    """
    pytest.importorskip("trio")
    monkeypatch.setattr(_turnstile, "HEALTH_CHECK_S", 1e6)
    limiter = CapacityLimiter(1)
    gate = Gate()
    got: list[int] = []

    async def main() -> None:
        await gate.running()
        with anyio.fail_after(WAIT_S):
            async with anyio.create_task_group() as cancelled:
                cancelled.start_soon(asyncify(got.append, limiter=limiter), 0)
                await waits_outside(limiter)
                cancelled.cancel_scope.cancel()
            async with anyio.create_task_group() as group:
                for number in (1, 2, 3):
                    group.start_soon(asyncify(got.append, limiter=limiter), number)
                await waits_outside(limiter)
                gate.leave.set()

    holder = threading.Thread(target=anyio.run, args=(asyncify(gate, limiter=limiter),), kwargs={"backend": first}, daemon=True)
    holder.start()
    anyio.run(main, backend=second)
    holder.join(WAIT_S)
    assert sorted(got) == [1, 2, 3]
    assert limiter.borrowed_tokens == 0


@pytest.mark.parametrize(("first", "second"), BACKENDS)
def test_what_nobody_tells_a_waiter_of_another_backend_is_found(
    first: str, second: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that a user of AnyIO alone gives back reaches it, too. proves: A3, A11"""
    pytest.importorskip("trio")
    monkeypatch.setattr(_turnstile, "HEALTH_CHECK_S", 0.01)
    limiter = CapacityLimiter(1)

    async def borrow() -> None:
        await limiter.acquire_on_behalf_of("somebody")

    async def main() -> None:
        with anyio.fail_after(WAIT_S):
            async with anyio.create_task_group() as group:
                group.start_soon(asyncify(int, limiter=limiter))
                await waits_outside(limiter)
                limiter.release_on_behalf_of("somebody")

    anyio.run(borrow, backend=first)
    anyio.run(main, backend=second)
    assert limiter.borrowed_tokens == 0


@pytest.mark.parametrize("tokens", [1, 3])
def test_the_bound_holds_across_loops(tokens: int) -> None:
    """Four loops in four threads that share a limiter never run more functions at once than it has tokens. proves: A3, A11"""
    limiter = CapacityLimiter(tokens)
    running = Running(1)

    async def main() -> None:
        with anyio.fail_after(WAIT_S):
            async with anyio.create_task_group() as group:
                for _ in range(50):
                    group.start_soon(asyncify(running, limiter=limiter))

    assert in_threads(*[main] * 4) == []
    assert (running.ran, running.peak <= tokens, limiter.borrowed_tokens) == (200, True, 0)


def test_a_function_abandoned_by_a_closed_loop_hands_its_token_to_the_next_loop() -> None:
    """An abandoned function keeps its token beyond its loop, and its return wakes a waiter on a later loop. proves: A3, A6"""
    limiter = CapacityLimiter(1)
    gate, got = Gate(), list[int]()

    async def abandon() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(asyncify(gate, limiter=limiter, cancellable=True))
            await gate.running()
            group.cancel_scope.cancel()

    async def wait_for_token() -> None:
        assert limiter.borrowed_tokens == 1
        with anyio.fail_after(WAIT_S):
            async with anyio.create_task_group() as group:
                group.start_soon(asyncify(got.append, limiter=limiter), 1)
                await waiting(limiter)
                gate.leave.set()

    anyio.run(abandon)
    anyio.run(wait_for_token)
    assert got == [1]
    assert limiter.borrowed_tokens == 0


def test_a_token_on_its_way_to_another_loop_is_not_given_back_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that returns after its loop was closed gives its token back once, also before the waiter has it. proves: A3"""
    limiter, gate, got = CapacityLimiter(1), Gate(), list[int]()
    reported, given_back = threading.Event(), list[object]()
    report, release = ThreadCall.report, Turnstile.release

    def report_and_tell(call: ThreadCall) -> None:
        report(call)
        reported.set()

    def note_release(turnstile: Turnstile, borrower: Job, loop: object) -> None:
        if loop is None:
            given_back.append(borrower)
        release(turnstile, borrower, loop)

    monkeypatch.setattr(ThreadCall, "report", report_and_tell)
    monkeypatch.setattr(Turnstile, "release", note_release)

    async def abandon() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(asyncify(gate, limiter=limiter, cancellable=True))
            await gate.running()
            group.cancel_scope.cancel()

    async def wait_for_token() -> None:
        with anyio.fail_after(WAIT_S):
            async with anyio.create_task_group() as group:
                group.start_soon(asyncify(got.append, limiter=limiter), 1)
                await waiting(limiter)
                gate.leave.set()
                assert reported.wait(WAIT_S)  # with the loop blocked: the token cannot arrive meanwhile

    anyio.run(abandon)
    anyio.run(wait_for_token)
    assert got == [1]
    assert len(given_back) == 1
    assert limiter.borrowed_tokens == 0


@pytest.mark.parametrize("already_waits", [False, True])
def test_a_loop_that_stands_still_keeps_no_token(already_waits: bool) -> None:
    """A function that its loop has left behind, stopped but not closed, hands its token on when it returns. proves: A3, A6"""
    limiter, gate, got = CapacityLimiter(1), Gate(), list[int]()

    def function() -> None:
        gate()

    async def abandon() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(asyncify(function, limiter=limiter, cancellable=True))
            await gate.running()
            group.cancel_scope.cancel()

    async def wait_for_token() -> None:
        with anyio.fail_after(WAIT_S):
            async with anyio.create_task_group() as group:
                if not already_waits:
                    gate.leave.set()
                    await happened(gate.left)
                group.start_soon(asyncify(got.append, limiter=limiter), 1)
                if already_waits:
                    await waiting(limiter)
                    gate.leave.set()

    stands_still = asyncio.new_event_loop()
    try:
        stands_still.run_until_complete(abandon())
        anyio.run(wait_for_token)
        assert (got, limiter.borrowed_tokens) == ([1], 0)
        stands_still.run_until_complete(checkpoint())  # what it hears then, it makes nothing of
    finally:
        stands_still.close()
    assert limiter.borrowed_tokens == 0

"""Rare orders of a stream or scope on a worker thread, brought about by force: a thread that is late, and Ctrl-C."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import pytest
from anyio import CapacityLimiter, to_thread

from gllm_core.concurrency import (
    _carrier_thread_steps,
    asyncify_context,
    asyncify_iterator,
)
from gllm_core.concurrency._carrier_thread import CarrierThread
from gllm_core.concurrency._sources import Scope
from handshakes import all_tokens_come_back, happened, turns
from outcomes import outcome_of_awaiting
from subprocess_tools import COMMON, run_program


class Late:
    """AnyIO's threads, one of which comes up when *begin* is called."""

    def __init__(self) -> None:
        self.waits, self.begin = threading.Event(), list[Callable[[], object]]()
        self.current_default_thread_limiter = to_thread.current_default_thread_limiter

    async def run_sync(self, func: Callable[[], object], **_: object) -> None:
        self.begin.append(func)
        self.waits.set()
        await anyio.sleep_forever()


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_a_thread_of_trios_that_comes_up_too_late_begins_no_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that begins when the consumer was cancelled, and token and stream were given up, does nothing. proves: I3, A3"""
    limiter, late, begun = CapacityLimiter(1), Late(), list[str]()

    def source() -> Iterator[int]:
        begun.append("begun")
        yield 1

    monkeypatch.setattr(_carrier_thread_steps, "to_thread", late)
    async with anyio.create_task_group() as group:
        group.start_soon(anext, asyncify_iterator(source, limiter=limiter)())
        while not late.waits.is_set():
            await turns()
        group.cancel_scope.cancel()
    await all_tokens_come_back(limiter)
    late.begin[0]()
    assert (begun, limiter.borrowed_tokens) == ([], 0)


def test_ctrl_c_on_trio_as_a_cancelled_consumer_waits_ends_the_wait() -> None:
    """A consumer that was cancelled waits for the step; Ctrl-C is raised there, and the source is closed. proves: I3, A8"""
    run_program(
        COMMON
        + """
import trio
go_on = threading.Event()

def source():
    try:
        started.release()
        go_on.wait(20)
        yield 1
    finally:
        say("closed")

@trio.lowlevel.enable_ki_protection  # so that it is the main task that is interrupted, where it waits
async def interrupt(scope):
    while not started.acquire(blocking=False):
        await trio.sleep(0)
    scope.cancel()
    while [call.state for call in in_flight()] != ["cancelling"]:
        await trio.sleep(0)
    for _ in range(10):
        await trio.sleep(0)
    signal.raise_signal(signal.SIGINT)
    for _ in range(10):
        await trio.sleep(0)
    go_on.set()

async def main():
    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            nursery.start_soon(interrupt, scope)
            await anext(asyncify_iterator(source)())

try:
    trio.run(main)
except BaseException as error:
    say(type(error).__name__, [type(one).__name__ for one in getattr(error, "exceptions", [])])
"""
    ).expect("closed", "BaseExceptionGroup ['KeyboardInterrupt']")


@contextmanager
def nothing() -> Iterator[None]:
    raise AssertionError("it was entered")
    yield


def consume(limiter: CapacityLimiter) -> dict[str, Callable[[], Awaitable[Any]]]:
    def numbers() -> Iterator[int]:
        raise AssertionError("it was begun")
        yield 1

    return {
        "a stream": lambda: anext(asyncify_iterator(numbers, limiter=limiter)()),
        "a scope": lambda: asyncify_context(nothing, limiter=limiter)().__aenter__(),
    }


@pytest.mark.anyio
@pytest.mark.parametrize("what", ["a stream", "a scope"])
async def test_an_interrupt_between_token_and_first_step_frees_the_token(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C when a stream or scope has its token, and has not begun, begins it never, and the token is free. proves: A3, I3"""
    limiter = CapacityLimiter(1)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(CarrierThread, "_put", interrupted)
        kind, error = await outcome_of_awaiting(consume(limiter)[what])
    assert (kind, type(error)) == ("error", KeyboardInterrupt)
    assert limiter.borrowed_tokens == 0


@pytest.mark.anyio
async def test_an_interrupt_before_the_thread_is_told_to_leave_leaves_the_scope(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C just as a scope is to be left is raised, and the scope is left all the same. proves: I3, A3"""
    limiter, left = CapacityLimiter(1), threading.Event()

    @contextmanager
    def scope() -> Iterator[None]:
        try:
            yield
        finally:
            left.set()

    async def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        async with asyncify_context(scope, limiter=limiter)():
            monkeypatch.setattr(CarrierThread, "leave", interrupted)
    await happened(left)
    await all_tokens_come_back(limiter)


def test_a_scope_that_was_not_entered_is_not_left() -> None:
    """Told to leave what it may have entered, a thread leaves it once if it did, and not if it did not. proves: I3, I4"""
    left: list[str] = []

    @contextmanager
    def noted() -> Iterator[None]:
        yield
        left.append("left")

    scope = Scope("noted", noted)
    scope.leave_if_entered()
    assert left == []
    scope.enter()
    scope.leave_if_entered()
    scope.leave_if_entered()
    assert left == ["left"]

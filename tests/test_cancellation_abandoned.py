"""`cancellable=True`: the awaiter leaves at once, the function runs on, and nothing that it raises is lost in silence."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import traceback

import anyio
import pytest
from anyio import CapacityLimiter
from anyio.lowlevel import checkpoint

from gllm_core.concurrency import asyncify
from handshakes import WAIT_S, Gate, all_tokens_come_back, happened
from marks import asyncio_only

LOGGER = "gllm_core.concurrency"

pytestmark = pytest.mark.anyio


def ours(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == LOGGER]


@pytest.mark.parametrize("error", [None, ValueError("lost?"), SystemExit(3), KeyboardInterrupt("lost?")])
async def test_the_awaiter_leaves_at_once_and_an_error_is_logged(
    error: BaseException | None, caplog: pytest.LogCaptureFixture
) -> None:
    """The awaiter leaves while the function runs; a value is dropped silently, an error logged once, with traceback.

    proves: A6, A8
    """
    limiter, gate = CapacityLimiter(1), Gate(error)
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(asyncify(gate, cancellable=True, limiter=limiter))
            await gate.running()
            scope.cancel()
    assert scope.cancelled_caught
    assert not gate.leave.is_set()
    assert limiter.borrowed_tokens == 1
    gate.leave.set()
    await all_tokens_come_back(limiter)
    records = ours(caplog)
    assert len(records) == (error is not None)
    for record in records:
        assert record.levelno == logging.ERROR
        assert record.exc_info is not None
        assert record.exc_info[1] is error
        assert "in __call__" in "".join(traceback.format_exception(error))
        assert "Gate" in record.getMessage()
    assert await asyncify(int)("3") == 3  # the worker threads live on


@asyncio_only
@pytest.mark.parametrize("way", ["cancel", "timeout", "wait_for"])
async def test_native_ways_to_leave_at_once(way: str, caplog: pytest.LogCaptureFixture) -> None:
    """`task.cancel()`, `asyncio.timeout` and `asyncio.wait_for` end the await while the function runs. proves: A6"""
    limiter, gate = CapacityLimiter(1), Gate(ValueError("lost?"))
    call = asyncify(gate, cancellable=True, limiter=limiter)

    async def awaiter() -> None:
        if way == "timeout":
            async with asyncio.timeout(0.05):
                await call()
        elif way == "wait_for":
            await asyncio.wait_for(call(), 0.05)
        else:
            await call()

    task = asyncio.ensure_future(awaiter())
    await gate.running()
    if way == "cancel":
        task.cancel()
    await asyncio.wait([task], timeout=WAIT_S)
    assert not gate.leave.is_set()
    assert task.cancelled() if way == "cancel" else isinstance(task.exception(), TimeoutError)
    assert task.cancelling() == (way == "cancel")
    gate.leave.set()
    await all_tokens_come_back(limiter)
    assert [record.exc_info is not None for record in ours(caplog)] == [True]


async def test_an_error_that_meets_the_cancellation_is_not_lost(caplog: pytest.LogCaptureFixture) -> None:
    """An error raised just before the awaiter leaves reaches either the awaiter or the log. proves: A6"""
    limiter, gate = CapacityLimiter(1), Gate(ValueError("lost?"))
    reached: list[BaseException] = []

    async def call() -> None:
        try:
            await asyncify(gate, cancellable=True, limiter=limiter)()
        except ValueError as error:
            reached.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await gate.running()
        gate.leave.set()
        await_off_the_function(gate)  # blocks the loop: the outcome is on its way when the scope is cancelled
        group.cancel_scope.cancel()
    await all_tokens_come_back(limiter)
    assert len(reached) + len(ours(caplog)) == 1


def await_off_the_function(gate: Gate) -> None:
    """Block until the worker thread has left the function and, as its stack shows, what of ours called it."""
    pause = threading.Event()
    for _ in range(int(WAIT_S * 1000)):
        if not is_busy(gate.thread):
            return
        pause.wait(0.001)
    raise AssertionError("the function never ended")


def is_busy(thread: threading.Thread) -> bool:
    """Whether the thread runs a gate, or what of ours runs one; a worker that only waits for work does not."""
    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None:
        module = str(frame.f_globals["__name__"])
        if frame.f_code is Gate.__call__.__code__ or (module.startswith("gllm_core.") and not module.endswith("._workers")):
            return True
        frame = frame.f_back
    return False


async def test_an_echo_of_the_cancellation_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A function that ends because `check_cancelled` told it to is no lost error. proves: A6, A7"""
    limiter, entered, pause = CapacityLimiter(1), threading.Event(), threading.Event()

    def function() -> None:
        entered.set()
        for _ in range(int(WAIT_S * 1000)):
            anyio.from_thread.check_cancelled()
            pause.wait(0.001)

    async with anyio.create_task_group() as group:
        group.start_soon(asyncify(function, cancellable=True, limiter=limiter))
        await happened(entered)
        group.cancel_scope.cancel()
    await all_tokens_come_back(limiter)
    assert ours(caplog) == []


async def test_a_lost_error_behind_a_cancellation_that_waited_is_logged_or_raised(caplog: pytest.LogCaptureFixture) -> None:
    """With `cancellable=False`, too, an error raised after the cancellation reaches the awaiter or the log. proves: A5, A6"""
    gate, reached = Gate(ValueError("lost?")), list[BaseException]()

    async def call() -> None:
        try:
            await asyncify(gate)()
        except ValueError as error:
            reached.append(error)
            await checkpoint()  # the cancellation is still to come
            reached.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await gate.running()
        group.cancel_scope.cancel()
        gate.leave.set()
    assert len(reached) + len(ours(caplog)) == 1


@asyncio_only
@pytest.mark.parametrize("thrown", [SystemExit, LookupError])
async def test_an_error_behind_whatever_made_the_awaiter_leave_is_logged(
    thrown: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """What runs the awaiter's coroutine, or a signal handler, may raise in it; the function's error is not lost. proves: A6"""
    limiter, gate = CapacityLimiter(1), Gate(ValueError("lost?"))
    awaiter = asyncify(gate, limiter=limiter)()
    awaiter.send(None)
    await gate.running()
    with pytest.raises(thrown):
        awaiter.throw(thrown())
    gate.leave.set()
    await all_tokens_come_back(limiter)
    assert [record.exc_info[1] for record in ours(caplog) if record.exc_info] == [gate.error]


@asyncio_only
async def test_an_error_that_came_just_before_the_awaiter_left_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The function's error is there, and the awaiter is closed before it takes its next step: it is not lost. proves: A6"""
    limiter, gate = CapacityLimiter(1), Gate(ValueError("lost?"))
    awaiter = asyncify(gate, limiter=limiter)()
    awaiter.send(None)
    await gate.running()
    gate.leave.set()
    await all_tokens_come_back(limiter)
    awaiter.close()
    assert [record.exc_info[1] for record in ours(caplog) if record.exc_info] == [gate.error]

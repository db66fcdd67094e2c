"""asyncify, promise by promise."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import threading
import time
from typing import Any

import anyio
import pytest
from anyio import CapacityLimiter

from gllm_core.concurrency import asyncify, syncify

WAIT_S = 10.0

pytestmark = pytest.mark.anyio


class Gate:
    """A blocking function that says when it runs and returns when it is let go."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.leave = threading.Event()

    def __call__(self) -> str:
        self.entered.release()
        assert self.leave.wait(WAIT_S)
        return "through"

    async def running(self) -> None:
        """Wait, without blocking the loop, until one more call of the function runs."""
        with anyio.fail_after(WAIT_S):
            await anyio.to_thread.run_sync(self.entered.acquire, limiter=CapacityLimiter(1))


def plain(a: int, /, b: int = 2, *args: int, c: int, **kwargs: int) -> tuple[Any, ...]:
    """Doc."""
    return a, b, args, c, kwargs


def test_wrapper_looks_like_the_function() -> None:
    """proves: A1"""
    wrapped = asyncify(plain)
    assert inspect.iscoroutinefunction(wrapped)
    assert (wrapped.__name__, wrapped.__qualname__, wrapped.__doc__, wrapped.__module__) == (
        "plain",
        "plain",
        "Doc.",
        __name__,
    )
    assert wrapped.__wrapped__ is plain  # type: ignore[attr-defined] # set by functools.wraps
    assert inspect.signature(wrapped) == inspect.signature(plain)


async def test_binds_as_a_method() -> None:
    """proves: A1"""

    class Owner:
        @asyncify
        def whoami(self) -> Owner:
            return self

        @staticmethod
        def static() -> str:
            return "static"

        also_static = asyncify(static)

    owner = Owner()
    assert await owner.whoami() is owner
    assert await Owner.also_static() == "static"


async def test_runs_once_on_another_thread_with_a_copy_of_the_context() -> None:
    """proves: A2"""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("awaiter")
    calls: list[tuple[int, str]] = []

    def function(*args: int, **kwargs: int) -> tuple[tuple[int, ...], dict[str, int]]:
        calls.append((threading.get_ident(), variable.get()))
        variable.set("worker")
        return args, kwargs

    assert await asyncify(function)(1, 2, x=3) == ((1, 2), {"x": 3})
    assert len(calls) == 1
    assert calls[0][0] != threading.get_ident()
    assert calls[0][1] == "awaiter"
    assert variable.get() == "awaiter"


async def test_limiter_bounds_what_runs() -> None:
    """proves: A3"""
    limiter = CapacityLimiter(2)
    lock = threading.Lock()
    running = peak = 0

    @asyncify(limiter=limiter)
    def work() -> None:
        nonlocal running, peak
        with lock:
            running += 1
            peak = max(peak, running)
        time.sleep(0.001)  # time itself is the subject: without it, functions never overlap
        with lock:
            running -= 1

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(work)
    assert peak <= 2
    assert limiter.borrowed_tokens == 0


async def test_waiting_for_a_token_is_cancellable_and_the_function_never_starts() -> None:
    """proves: A4"""
    limiter = CapacityLimiter(1)
    gate = Gate()
    started: list[int] = []
    async with anyio.create_task_group() as group:
        group.start_soon(asyncify(gate, limiter=limiter))
        await gate.running()
        with anyio.move_on_after(0) as scope:
            await asyncify(started.append, limiter=limiter)(1)
        assert scope.cancelled_caught
        gate.leave.set()
    assert started == []
    assert limiter.borrowed_tokens == 0


async def test_scope_cancellation_waits_for_the_function() -> None:
    """proves: A5"""
    gate = Gate()
    returned = False

    def function() -> None:
        nonlocal returned
        gate()
        returned = True

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(asyncify(function))
            await gate.running()
            scope.cancel()
            gate.leave.set()
    assert returned
    assert scope.cancelled_caught


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_native_cancellation_waits_for_the_function() -> None:
    """proves: A5"""
    gate = Gate()
    task = asyncio.ensure_future(asyncify(gate)())
    await gate.running()
    task.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    gate.leave.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_abandoned_function_runs_on_and_keeps_its_token(caplog: pytest.LogCaptureFixture) -> None:
    """proves: A6, A3"""
    limiter = CapacityLimiter(1)
    gate = Gate()
    left = threading.Event()

    def function() -> None:
        try:
            gate()
            raise ValueError("lost?")
        finally:
            left.set()

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(asyncify(function, cancellable=True, limiter=limiter))
            await gate.running()
            scope.cancel()
    assert not left.is_set()
    assert limiter.borrowed_tokens == 1
    with caplog.at_level(logging.ERROR):
        gate.leave.set()
        await anyio.to_thread.run_sync(left.wait, limiter=CapacityLimiter(1))
        with anyio.fail_after(WAIT_S):
            async with limiter:
                pass
    assert limiter.borrowed_tokens == 0
    assert any(record.exc_info and "lost?" in str(record.exc_info[1]) for record in caplog.records)


async def test_from_thread_works_inside() -> None:
    """proves: A7"""

    async def on_loop(x: int) -> tuple[int, int]:
        return x, threading.get_ident()

    def function() -> tuple[tuple[int, int], int]:
        anyio.from_thread.check_cancelled()
        return anyio.from_thread.run(on_loop, 1), anyio.from_thread.run_sync(threading.get_ident)

    here = threading.get_ident()
    assert await asyncify(function)() == ((1, here), here)


async def test_exception_is_the_same_object() -> None:
    """proves: A8"""
    cause, error = KeyError("cause"), ValueError("error")

    def function() -> None:
        raise error from cause

    try:
        raise RuntimeError("being handled by the awaiter")
    except RuntimeError:
        with pytest.raises(ValueError, match="error") as caught:
            await asyncify(function)()
    assert caught.value is error
    assert error.__cause__ is cause
    assert error.__context__ is None
    assert [entry.name for entry in caught.traceback][-1] == "function"


async def test_stop_iteration_becomes_runtime_error() -> None:
    """proves: A8"""
    with pytest.raises(RuntimeError, match="StopIteration") as caught:
        await asyncify(next)(iter(()))
    assert isinstance(caught.value.__cause__, StopIteration)


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
async def test_base_exceptions_reach_the_awaiter(kind: type[BaseException]) -> None:
    """proves: A8"""

    def function() -> None:
        raise kind

    with pytest.raises(kind):
        await asyncify(function)()
    assert await asyncify(lambda: 1)() == 1


def test_refusals_name_the_function_and_the_remedy() -> None:
    """proves: A9"""

    async def coroutine_function() -> None: ...

    def generator_function() -> Any:
        yield

    async def async_generator_function() -> Any:
        yield

    for bad, message in [
        (coroutine_function, "coroutine function .*coroutine_function.*await it directly"),
        (generator_function, "generator function .*generator_function.*use asyncify_iterator"),
        (async_generator_function, "async generator function .*async_generator_function.*async for"),
        (3, "needs a callable, got 3"),
    ]:
        with pytest.raises(TypeError, match=message):
            asyncify(bad)  # type: ignore[call-overload] # the bad input is the point
    assert isinstance(asyncify(staticmethod(plain)), staticmethod)


async def test_deep_and_wide_nesting_never_starves() -> None:
    """proves: A13"""

    def down(depth: int) -> int:
        return depth if depth == 0 else syncify(descend)(depth)

    async def descend(depth: int) -> int:
        return await asyncify(down)(depth - 1)

    async def wide() -> int:
        async with anyio.create_task_group() as group:
            for _ in range(60):
                group.start_soon(asyncify(down), 2)
        return 60

    assert await asyncify(syncify(descend))(50) == 0
    assert await asyncify(syncify(wide))() == 60

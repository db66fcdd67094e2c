"""asyncify, promise by promise."""

from __future__ import annotations

import contextvars
import inspect
import threading
from typing import Any

import anyio
import pytest
from anyio import CapacityLimiter

from gllm_core.concurrency import asyncify, syncify
from handshakes import Gate, all_tokens_come_back

pytestmark = pytest.mark.anyio


def plain(a: int, /, b: int = 2, *args: int, c: int, **kwargs: int) -> tuple[Any, ...]:
    """Doc."""
    return a, b, args, c, kwargs


def test_wrapper_looks_like_the_function() -> None:
    """A wrapper is a coroutine function with the names, doc, signature and `__wrapped__` of its function. proves: A1"""
    wrapped = asyncify(plain)
    assert inspect.iscoroutinefunction(wrapped)
    assert (wrapped.__name__, wrapped.__qualname__) == ("plain", "plain")
    assert (wrapped.__doc__, wrapped.__module__) == ("Doc.", __name__)
    assert wrapped.__wrapped__ is plain  # type: ignore[attr-defined] # set by functools.wraps
    assert inspect.signature(wrapped) == inspect.signature(plain)


async def test_binds_as_a_method() -> None:
    """In a class body a wrapper binds as a method, and around a `staticmethod` object it stays static. proves: A1, A9"""

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


async def test_options_make_it_a_decorator() -> None:
    """`@asyncify(limiter=...)` decorates a function, whose calls then hold a token of that limiter. proves: A1, A3"""
    limiter = CapacityLimiter(1)

    @asyncify(limiter=limiter)
    def borrowed() -> float:
        return limiter.borrowed_tokens

    assert await borrowed() == 1
    await all_tokens_come_back(limiter)


async def test_runs_once_on_another_thread_with_a_copy_of_the_context() -> None:
    """A call runs once, off the loop's thread, with its arguments and a copy of the awaiter's context. proves: A2"""
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


async def test_waiting_for_a_token_is_cancellable_and_the_function_never_starts() -> None:
    """Behind a running function, a call whose deadline is over leaves the wait for a token, and never starts. proves: A4"""
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
    await all_tokens_come_back(limiter)


async def test_scope_cancellation_waits_for_the_function() -> None:
    """A cancelled scope around the awaiter is not left before the function has returned. proves: A5"""
    gate = Gate()
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(asyncify(gate))
            await gate.running()
            scope.cancel()
            gate.leave.set()
    assert gate.left.is_set()
    assert scope.cancelled_caught


async def test_from_thread_works_inside() -> None:
    """`anyio.from_thread` runs coroutines and functions on the awaiter's loop. proves: A7"""

    async def on_loop(x: int) -> tuple[int, int]:
        return x, threading.get_ident()

    def function() -> tuple[tuple[int, int], int]:
        anyio.from_thread.check_cancelled()
        return anyio.from_thread.run(on_loop, 1), anyio.from_thread.run_sync(threading.get_ident)

    here = threading.get_ident()
    assert await asyncify(function)() == ((1, here), here)


async def test_exception_is_the_same_object() -> None:
    """An exception reaches the awaiter as the same object, with its own cause, context and traceback. proves: A8"""
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


async def test_what_the_function_was_handling_stays_the_context_of_its_exception() -> None:
    """An exception keeps the one that its function was handling, not the one that its awaiter is. proves: A8"""
    handled, error = KeyError("handled"), ValueError("error")

    def function() -> None:
        try:
            raise handled
        finally:
            raise error

    try:
        raise RuntimeError("being handled by the awaiter")
    except RuntimeError:
        with pytest.raises(ValueError, match="error"):
            await asyncify(function)()
    assert error.__context__ is handled


async def test_stop_iteration_becomes_runtime_error() -> None:
    """`StopIteration`, which a coroutine cannot raise, becomes the cause of a `RuntimeError`. proves: A8"""
    with pytest.raises(RuntimeError, match="'next' raised StopIteration") as caught:
        await asyncify(next)(iter(()))
    assert isinstance(caught.value.__cause__, StopIteration)


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
async def test_base_exceptions_reach_the_awaiter(kind: type[BaseException]) -> None:
    """An exception that is no `Exception` reaches its awaiter, and the next call works. proves: A8"""

    def function() -> None:
        raise kind

    with pytest.raises(kind):
        await asyncify(function)()
    assert await asyncify(lambda: 1)() == 1


async def test_deep_and_wide_nesting_never_starves() -> None:
    """From a loop of any kind to the default portal's, fifty calls deep and sixty wide get through. proves: A13, A11"""

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

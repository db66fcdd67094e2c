"""Worker threads: whose they are, what they see, how they are reused, and when they leave."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from typing import Any

import anyio
import anyio.from_thread
import pytest
from anyio.lowlevel import checkpoint
from anyio.to_thread import current_default_thread_limiter

from backends import BACKENDS
from gllm_core.concurrency import asyncify, syncify
from handshakes import WAIT_S, happened
from marks import asyncio_only, both_modes

variable: ContextVar[int] = ContextVar("variable")


@pytest.mark.anyio
async def test_concurrent_calls_do_not_mix() -> None:
    """Fifty calls at once: each runs once, off the loop's thread, in its own awaiter's context. proves: A2"""
    calls: list[tuple[int, int, int]] = []

    def function(number: int) -> int:
        calls.append((number, variable.get(), threading.get_ident()))
        variable.set(-1)
        return number

    async def call(number: int) -> None:
        variable.set(number)
        assert await asyncify(function)(number) == number == variable.get()

    async with anyio.create_task_group() as group:
        for number in range(50):
            group.start_soon(call, number)
    assert sorted(number for number, _, _ in calls) == list(range(50))
    assert all(number == seen and ident != threading.get_ident() for number, seen, ident in calls)


def test_many_loops_in_many_threads() -> None:
    """Loops of every kind, two of each, all at once in threads of their own: every call is right. proves: A11, A2"""
    barrier = threading.Barrier(2 * len(BACKENDS))
    idents, finished = set[int](), list[int]()

    async def hop(number: int) -> tuple[int, int]:
        await checkpoint()
        return number, await asyncify(threading.get_ident)()

    def function(number: int) -> tuple[int, int, int]:
        anyio.from_thread.run(checkpoint)
        return (*syncify(hop)(number), anyio.from_thread.run_sync(threading.get_ident))

    async def main() -> None:
        here = threading.get_ident()
        idents.add(here)
        barrier.wait(WAIT_S)

        async def call(number: int) -> None:
            got, worker, loop_of_call = await asyncify(function)(number)
            assert (got, loop_of_call) == (number, here)
            assert worker not in idents
            finished.append(number)

        with anyio.fail_after(WAIT_S):
            async with anyio.create_task_group() as group:
                for number in range(20):
                    group.start_soon(call, number)
        barrier.wait(WAIT_S)  # a thread that ended would leave its identifier to a worker

    errors: list[BaseException] = []

    def run(backend: str, options: dict[str, Any]) -> None:
        try:
            anyio.run(main, backend=backend, backend_options=options)
        except BaseException as error:  # noqa: BLE001 # reported below
            errors.append(error)

    threads = [threading.Thread(target=run, args=loop, daemon=True) for loop in 2 * list(BACKENDS.values())]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * WAIT_S)
    assert errors == []
    assert len(finished) == 20 * len(threads)


@pytest.mark.anyio
async def test_from_thread_sees_context_and_errors() -> None:
    """`from_thread.run` inside carries the function's context over and the exception back, as it is. proves: A7"""
    error = LookupError("on the loop")

    async def fails() -> None:
        assert variable.get() == 2
        raise error

    def function() -> int:
        variable.set(variable.get() + 1)
        with pytest.raises(LookupError) as caught:
            anyio.from_thread.run(fails)
        assert caught.value is error
        return anyio.from_thread.run_sync(variable.get)

    variable.set(1)
    assert await asyncify(function)() == 2


@pytest.mark.anyio
@both_modes
async def test_check_cancelled_sees_the_scope(cancellable: bool) -> None:
    """`check_cancelled` raises once the awaiter's scope was cancelled, not before, in both modes. proves: A7"""
    entered, ended = threading.Event(), threading.Event()

    with anyio.fail_after(WAIT_S):
        async with anyio.create_task_group() as group:
            group.start_soon(asyncify(check_until_cancelled, cancellable=cancellable), entered, ended)
            await happened(entered)
            group.cancel_scope.cancel()
    await happened(ended)


@pytest.mark.anyio
@asyncio_only
@both_modes
async def test_check_cancelled_sees_a_native_cancellation(cancellable: bool) -> None:
    """`check_cancelled` raises once the awaiter got `task.cancel()`, in both modes. proves: A7"""
    entered, ended = threading.Event(), threading.Event()
    task = asyncio.ensure_future(asyncify(check_until_cancelled, cancellable=cancellable)(entered, ended))
    await happened(entered)
    task.cancel()
    await asyncio.wait([task], timeout=WAIT_S)
    assert task.cancelled()
    await happened(ended)


def check_until_cancelled(entered: threading.Event, ended: threading.Event) -> None:
    anyio.from_thread.check_cancelled()
    entered.set()
    pause = threading.Event()
    try:
        for _ in range(int(WAIT_S * 1000)):
            anyio.from_thread.check_cancelled()
            pause.wait(0.001)
    except BaseException:
        ended.set()
        raise


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_each_loop_on_a_thread_has_its_own_budget(backend: str) -> None:
    """On one loop after another, the token is of the running loop's limiter, not of the former one's. proves: A11, A3"""

    def borrowed() -> int:
        return anyio.from_thread.run_sync(lambda: current_default_thread_limiter().borrowed_tokens)

    async def main() -> int:
        return await asyncify(borrowed)()

    assert [anyio.run(main, backend=backend) for _ in range(3)] == [1, 1, 1]

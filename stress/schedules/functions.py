"""Asyncified calls: workers, tokens, cancellation, closed loops."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread

from gllm_core.concurrency.testing.explore import calm

from .model import scenario, together

CALL = ("_threadcall", "_blocking", "_delivery")


def _warm_up() -> None:
    """Have one idle worker, and AnyIO's modules imported."""
    from gllm_core.concurrency import asyncify

    anyio.run(asyncify(int))


def _free() -> bool:
    return anyio.to_thread.current_default_thread_limiter().borrowed_tokens == 0


@scenario(*CALL, "_workers", "_asyncify", preemptions=2, quick=True)
def one_function() -> None:
    """A function is called, and its awaiter has the value."""
    from gllm_core.concurrency import asyncify

    async def main() -> None:
        assert await asyncify(lambda: 1)() == 1
        assert _free()

    with calm():
        _warm_up()
    anyio.run(main)


@scenario("_threadcall", "_workers", actors=3)
def two_functions_at_once() -> None:
    """Two awaiters of one loop: both functions run, and the tokens return."""
    from gllm_core.concurrency import asyncify

    async def main() -> None:
        results: list[int] = []

        async def call(x: int) -> None:
            results.append(await asyncify(lambda: x)())

        async with anyio.create_task_group() as group:
            group.start_soon(call, 1)
            group.start_soon(call, 2)
        assert sorted(results) == [1, 2]
        assert _free()

    with calm():
        _warm_up()
    anyio.run(main)


@scenario("_workers", actors=4)
def two_loops() -> None:
    """Two loops share the cache of workers."""
    from gllm_core.concurrency import asyncify

    with calm():
        _warm_up()
    together(*(lambda: anyio.run(asyncify(int)),) * 2)


@scenario("_threadcall", "_workers", faults=["start"], actors=3)
def no_thread_for_a_function() -> None:
    """No thread can be started: the awaiter hears of it, or another thread does the job; the token returns."""
    from gllm_core.concurrency import asyncify

    async def call() -> None:
        try:
            assert await asyncify(int)() == 0
        except RuntimeError as error:
            assert "start" in str(error), error  # noqa: PT017 # either outcome will do, on each schedule

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(call)
            group.start_soon(call)
        assert _free()

    anyio.run(main)


def _cancel(how: Callable[[asyncio.Task[Any], anyio.CancelScope], object], cancellable: bool) -> None:
    """Cancel the awaiter at some moment of its function's life."""
    from gllm_core.concurrency import asyncify

    ran: list[int] = []

    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        with anyio.CancelScope() as scope:
            asyncio.get_running_loop().call_soon(how, task, scope)
            try:
                await asyncify(lambda: ran.append(1), cancellable=cancellable)()
            except asyncio.CancelledError:
                if task.uncancel() < 0 or scope.cancel_called:
                    raise
        if not cancellable:
            assert ran == [1]
            assert _free()

    with calm():
        _warm_up()
    anyio.run(main)


@scenario(*CALL, preemptions=2, quick=True)
def cancellation_against_completion() -> None:
    """A scope is cancelled: the awaiter stays until the function has returned."""
    _cancel(lambda _, scope: scope.cancel(), cancellable=False)


@scenario(*CALL, preemptions=2, quick=True)
def native_cancellation_against_completion() -> None:
    """The same for a task that is cancelled."""
    _cancel(lambda task, _: task.cancel(), cancellable=False)


@scenario(*CALL, preemptions=2, quick=True)
def native_cancellation_against_an_error() -> None:
    """The same with a function that raises: whichever comes first, the cancellation is not lost over the error."""
    from gllm_core.concurrency import asyncify

    def fail() -> None:
        raise ValueError

    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_soon(task.cancel)
        try:
            await asyncify(fail)()
        except asyncio.CancelledError:
            assert task.uncancel() == 0
        assert _free()

    with calm():
        _warm_up()
    anyio.run(main)


@scenario(*CALL, "_asyncify", preemptions=2, quick=True)
def cancellation_against_a_token() -> None:
    """The wait for a token is cancelled as the function that has it returns: no call stays in sight, and the token is free."""
    from gllm_core.concurrency import asyncify, in_flight

    async def wait(call: Callable[[], Awaitable[int]]) -> None:
        with anyio.CancelScope() as scope:
            asyncio.get_running_loop().call_soon(scope.cancel)
            await call()

    async def main() -> None:
        limiter = anyio.CapacityLimiter(1)
        call = asyncify(int, limiter=limiter)
        async with anyio.create_task_group() as group:
            group.start_soon(call)
            group.start_soon(wait, call)
        assert in_flight() == ()
        assert limiter.borrowed_tokens == 0

    with calm():
        _warm_up()
    anyio.run(main)


@scenario(*CALL, preemptions=2, quick=True)
def cancellation_that_abandons() -> None:
    """The awaiter leaves at once; the loop may be closed before the function returns."""
    _cancel(lambda _, scope: scope.cancel(), cancellable=True)


@scenario("_inflight", "_tokens", "_threadcall", actors=4, quick=True)
def token_on_loan() -> None:
    """One token of the portal's loop, and calls below calls there: it is lent, and comes back."""
    from gllm_core.concurrency import asyncify, syncify

    async def inner() -> int:
        return await asyncify(lambda: 1)()

    async def main() -> None:
        limiter = anyio.to_thread.current_default_thread_limiter()
        limiter.total_tokens = 1
        assert await asyncify(lambda: syncify(inner)())() == 1
        assert limiter.borrowed_tokens == 0

    with calm():
        _warm_up()
        syncify(inner)()
    syncify(main)()


@scenario("_turnstile", actors=4)
def limiter_shared_by_two_loops() -> None:
    """One token for two loops in two threads: never two functions at once, and nobody waits for ever."""
    from gllm_core.concurrency import asyncify

    inside: list[int] = []

    def work() -> None:
        inside.append(1)
        time.sleep(0.001)  # whoever else may run does
        assert len(inside) == 1
        inside.pop()

    async def make() -> anyio.CapacityLimiter:
        return anyio.CapacityLimiter(1)

    with calm():
        _warm_up()
        limiter = anyio.run(make)
        calls = [asyncify(work, limiter=limiter) for _ in range(2)]
    together(*(lambda call=call: anyio.run(call) for call in calls))
    assert limiter.borrowed_tokens == 0


@scenario("_inflight", "_threadcall", "_dispatch", actors=3, quick=True)
def cancellation_through_both() -> None:
    """A cancelled awaiter cancels the coroutine that its function waits for, or is about to."""
    from gllm_core.concurrency import asyncify, syncify

    ended: list[int] = []

    async def stay() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(1)

    def function() -> None:
        try:
            syncify(stay)()
        except CancelledError:
            return

    async def main() -> None:
        with anyio.CancelScope() as scope:
            asyncio.get_running_loop().call_later(1, scope.cancel)
            await asyncify(function)()
        assert _free()

    with calm():
        _warm_up()
        syncify(anyio.sleep)(0)
    anyio.run(main)
    assert ended == [1]


@scenario(*CALL, faults=["wake-up"], preemptions=2, quick=True)
def answer_that_cannot_be_delivered() -> None:
    """The worker's wake-up of the loop raises once; the function is done all the same."""
    from gllm_core.concurrency import asyncify

    done = threading.Event()

    async def main() -> None:
        with anyio.move_on_after(30):
            await asyncify(done.set, cancellable=True)()

    with calm():
        _warm_up()
    anyio.run(main)
    assert done.is_set()

"""Calls that meet a closed or a blocked loop, a late wake-up, the end of their lender; and what is no scope."""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

import anyio
import pytest
from anyio import CapacityLimiter
from anyio.from_thread import BlockingPortal
from anyio.to_thread import current_default_thread_limiter

from gllm_core.concurrency import (
    _asyncify,
    _carrier_thread_steps,
    _loops,
    asyncify,
    asyncify_context,
    asyncify_iterator,
    syncify,
    syncify_context,
)
from gllm_core.concurrency._inflight import Loan, open_loan
from handshakes import WAIT_S, Gate, happened
from interrupt_programs import interrupted
from subprocess_tools import run_program


def within(condition: Callable[[], bool]) -> None:
    """Wait, without a loop, until *condition* holds."""
    until = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < until, "it did not happen"


def test_an_abandoned_function_returns_after_the_end_of_trio() -> None:
    """A function that returns when the trio run of its awaiter is over gives its token to the next run. proves: A3, A6, A11"""
    limiter, gate = CapacityLimiter(1), Gate()

    async def abandon() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(asyncify(gate, limiter=limiter, cancellable=True))
            await gate.running()
            group.cancel_scope.cancel()

    async def wait() -> int:
        with anyio.fail_after(WAIT_S):
            return await asyncify(int, limiter=limiter)()

    anyio.run(abandon, backend="trio")
    assert limiter.borrowed_tokens == 1
    gate.leave.set()
    within(lambda: limiter.borrowed_tokens == 0)
    assert anyio.run(wait, backend="trio") == 0


def test_a_return_in_the_middle_of_a_delivery() -> None:
    """What returns while outcomes of a closed loop are cleared away is cleared away, too: once each, no token lost.

    proves: A3, A6
    """
    limiter, gates, logged = CapacityLimiter(3), [Gate(ValueError(name)) for name in "abc"], list[str]()
    returned = [threading.Event() for _ in gates]
    loop = asyncio.new_event_loop()

    def note(record: logging.LogRecord) -> bool:
        assert record.exc_info is not None
        logged.append(str(record.exc_info[1]))
        if logged[-1] == "a":
            gates[2].leave.set()
        returned["abc".index(logged[-1])].set()
        return logged[-1] != "a" or returned[2].wait(WAIT_S)

    async def abandon() -> None:
        tasks = [asyncio.ensure_future(asyncify(gate, limiter=limiter, cancellable=True)()) for gate in gates]
        for gate in gates:
            await gate.running()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    loop.run_until_complete(abandon())
    outbox = _asyncify._of_thread.loop.outbox  # type: ignore[union-attr] # used just now
    for count, gate in enumerate(gates[:2], 1):
        gate.leave.set()
        assert gate.left.wait(WAIT_S)
        within(functools.partial(lambda count: len(outbox._calls) == count, count))
    logger = logging.getLogger("gllm_core.concurrency")
    logger.addFilter(note)
    try:
        loop.close()
        assert returned[2].wait(WAIT_S)
    finally:
        logger.removeFilter(note)
    assert logged == ["a", "b", "c"]
    assert limiter.borrowed_tokens == 0


def test_an_interrupt_of_a_loop_that_a_call_blocks_cancels_that_call() -> None:
    """Ctrl-C in `asyncio.run`, which cancels the task whose loop a call blocks, cancels the coroutine that it waits for.

    proves: S6, S9
    """
    run_program(
        interrupted(
            """
warnings.simplefilter("ignore", BlockedLoopWarning)
async def main():
    try:
        syncify(careful)()
    finally:
        say("over")
        await asyncio.sleep(0)
when_started(lambda: (time.sleep(0.3), ctrl_c()))  # a health check or two find nothing
try:
    asyncio.run(main())
except KeyboardInterrupt:
    say("interrupted")
"""
        )
    ).expect("finally endless", "cleaned", "over", "interrupted", "None []")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("hard", [False, True])
def test_a_wake_up_that_comes_after_the_stop(backend: str, hard: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call accepted just before its portal stops, whose wake-up comes too late, is run, or cancelled by the stop, once.

    proves: S4, S2
    """
    accepted, stopped = threading.Event(), threading.Event()
    ran, portals = list[int](), SimpleQueue[BlockingPortal]()

    async def work() -> int:
        ran.append(1)
        return 7

    def come_late(wake: Any) -> Any:
        def late(tasks: Any, callback: Any, call: Any) -> None:
            accepted.set()
            assert stopped.wait(WAIT_S)
            wake(tasks, callback, call)

        return late

    async def serve() -> None:
        with anyio.CancelScope() as scope:
            async with BlockingPortal() as portal:
                portals.put(portal)
                await happened(accepted)
                if hard:
                    scope.cancel()

    with ThreadPoolExecutor(2) as pool:
        serving = pool.submit(functools.partial(anyio.run, serve, backend=backend))
        call = syncify(work, portal=portals.get(timeout=WAIT_S))
        assert call() == 7
        for tasks in (_loops.AsyncioTasks, _loops.GroupTasks):
            monkeypatch.setattr(tasks, "wake", come_late(tasks.wake))
        late = pool.submit(call)
        serving.result(WAIT_S)
        stopped.set()
        error = late.exception(WAIT_S)
        assert isinstance(error, CancelledError) if hard else late.result() == 7
    assert len(ran) == (1 if hard else 2)


@pytest.mark.anyio
async def test_without_threads_of_ours_a_stream_runs_on_one_of_anyios(monkeypatch: pytest.MonkeyPatch) -> None:
    """On AnyIO's threads, too, all steps of a stream run on one thread, off the loop's. proves: I1, I2, A12"""
    monkeypatch.setattr(_carrier_thread_steps, "HAS_WORKER_THREADLOCALS", False)

    def items() -> Iterator[tuple[int, threading.Thread]]:
        for number in range(3):
            yield number, threading.current_thread()

    with anyio.fail_after(WAIT_S):
        seen = [item async for item in asyncify_iterator(items)()]
    assert [number for number, _ in seen] == [0, 1, 2]
    assert len({thread for _, thread in seen} - {threading.current_thread()}) == 1


def generator() -> Iterator[int]:
    yield 7


async def async_generator() -> AsyncIterator[int]:
    yield 7


REMEDIES: list[tuple[Callable[[Any], Any], Any, str]] = [
    (asyncify_context, generator, "generator function 'generator'; decorate it with contextlib.contextmanager first"),
    (
        syncify_context,
        async_generator,
        "async generator function 'async_generator'; decorate it with contextlib.asynccontextmanager first",
    ),
]


@pytest.mark.parametrize(("wrap", "func", "message"), REMEDIES, ids=["asyncify_context", "syncify_context"])
def test_a_bare_generator_function_is_no_scope(wrap: Callable[[Any], Any], func: Any, message: str) -> None:
    """A scope that lacks its contextlib decorator is refused when wrapping, with the decorator to use. proves: A9, S10"""
    with pytest.raises(TypeError) as caught:
        wrap(func)
    assert str(caught.value) == f"{wrap.__name__}() got the {message}"


def test_what_outlives_its_lender_lends_its_own_token() -> None:
    """A task that a lender's coroutine leaves behind nests on one token, as ever, and keeps nothing of the old loan.

    proves: A13, S12
    """
    kept: list[asyncio.Future[tuple[Loan | None, int]]] = []

    async def bottom() -> tuple[Loan | None, int]:
        loan = open_loan(current_default_thread_limiter())
        assert loan is not None
        return loan.outer, await asyncify(int)(7)

    async def go_on(lender_is_over: asyncio.Event) -> tuple[Loan | None, int]:
        await lender_is_over.wait()
        return await asyncify(syncify(bottom))()

    async def main() -> tuple[Loan | None, int]:
        lender_is_over = asyncio.Event()
        limiter = current_default_thread_limiter()
        before, limiter.total_tokens = limiter.total_tokens, 1

        async def leave_behind() -> None:
            kept.append(asyncio.ensure_future(go_on(lender_is_over)))

        try:
            with anyio.fail_after(WAIT_S):
                await asyncify(syncify(leave_behind))()
                lender_is_over.set()
                return await kept[0]
        finally:
            limiter.total_tokens = before

    assert syncify(main)() == (None, 7)

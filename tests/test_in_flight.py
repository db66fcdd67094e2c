"""in_flight: what it says of each bridge call, and that it says nothing of those that are over."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import itertools
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio
import pytest
from anyio import CapacityLimiter
from anyio.from_thread import BlockingPortal

from gllm_core.concurrency import (
    CallInFlight,
    _workers,
    asyncify,
    asyncify_iterator,
    in_flight,
    syncify,
    syncify_iterator,
)
from gllm_core.concurrency._registry import registry
from handshakes import WAIT_S, Gate, happened, waiting
from marks import asyncio_only, both_modes
from outcomes import outcome_of
from subprocess_tools import COMMON, STRICT, run_program

ENDINGS = ["value", "error", "cancelled before", "cancelled waiting", "cancelled running", "no thread"]


def seen(name: str) -> list[CallInFlight]:
    return [call for call in in_flight() if call.function.endswith(name)]


def state_of(name: str) -> str:
    (call,) = seen(name)
    return call.state


async def nothing_left(name: str) -> None:
    """A function that has returned is in flight until its loop has heard of it."""
    with anyio.fail_after(WAIT_S):
        while seen(name):
            await anyio.lowlevel.checkpoint()


@pytest.mark.anyio
async def test_an_asyncified_call_goes_through_its_states() -> None:
    """Waiting for a token, running on a named thread, cancelling; then it is over. proves: in_flight"""
    limiter, gate = CapacityLimiter(1), Gate()

    def first() -> None:
        gate()

    def second() -> None: ...

    async with anyio.create_task_group() as group:
        group.start_soon(asyncify(first, limiter=limiter))
        await gate.running()
        group.start_soon(asyncify(second, limiter=limiter))
        await waiting(limiter)
        snapshot = in_flight()  # one, as their ages are compared
        (running,), (waits,) = ([call for call in snapshot if call.function.endswith(name)] for name in ("first", "second"))
        assert (running.direction, running.state, running.portal) == ("asyncify", "running", None)
        assert (running.thread, running.thread_id) == (gate.thread.name, gate.thread.ident)
        assert (waits.state, waits.thread, waits.thread_id) == ("waiting for a token", None, None)
        assert running.age >= waits.age > 0
        assert [call for call in in_flight() if call in (running, waits)] == []  # the age has grown since
        group.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await nothing_left("second")
            with anyio.fail_after(WAIT_S):
                while state_of("first") != "cancelling":
                    await anyio.lowlevel.checkpoint()
            gate.leave.set()
    await nothing_left("first")


@pytest.mark.anyio
async def test_a_snapshot_is_of_one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes, ages differ by no more than the calls' beginnings did. proves: in_flight"""
    gates = [Gate() for _ in range(3)]
    clock = itertools.count(time.monotonic() + 1e6, 1e6)  # from look to look, more than any test takes
    async with anyio.create_task_group() as group:
        for gate in gates:
            group.start_soon(asyncify(gate))
            await gate.running()
        with monkeypatch.context() as patch:
            patch.setattr(time, "monotonic", lambda: next(clock))
            snapshot = in_flight()
        for gate in gates:
            gate.leave.set()
    shown = [call for call in snapshot if call.thread_id in [gate.thread.ident for gate in gates]]
    assert [call.thread_id for call in shown] == [gate.thread.ident for gate in gates]
    assert 0 < shown[0].age - shown[-1].age < 1e6


@asyncio_only
@pytest.mark.anyio
async def test_a_call_that_no_thread_has_taken_is_queued(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its token, before its function begins. proves: in_flight"""
    handed_over: list[Any] = []

    def function() -> None: ...

    with monkeypatch.context() as patch:
        patch.setattr(_workers, "start", handed_over.append)
        task = asyncio.create_task(asyncify(function)())
        with anyio.fail_after(WAIT_S):
            while not handed_over:
                await anyio.lowlevel.checkpoint()
    (call,) = seen("function")
    assert (call.state, call.thread) == ("queued", None)
    _workers.start(handed_over[0])
    await task
    assert not seen("function")


@both_modes
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.anyio
async def test_no_call_stays_in_sight(ending: str, cancellable: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """However a call ends, it is not in flight any more; but an abandoned function is until it returns. proves: in_flight"""
    limiter, gate = CapacityLimiter(1), Gate()

    def function() -> None:
        if ending == "error":
            raise ValueError
        if ending == "cancelled running":
            gate()

    def refuse(job: object) -> None:
        raise RuntimeError("can't start new thread")

    async with anyio.create_task_group() as group:
        if ending == "cancelled waiting":
            limiter.acquire_on_behalf_of_nowait(gate)
            group.start_soon(asyncify(function, limiter=limiter, cancellable=cancellable))
            await waiting(limiter)
            group.cancel_scope.cancel()
        elif ending == "cancelled before":
            group.cancel_scope.cancel()
            group.start_soon(asyncify(function, limiter=limiter, cancellable=cancellable))
        elif ending == "cancelled running":
            group.start_soon(asyncify(function, limiter=limiter, cancellable=cancellable))
            await gate.running()
            group.cancel_scope.cancel()
            if not cancellable:
                gate.leave.set()
        else:
            if ending == "no thread":
                monkeypatch.setattr(threading.Thread, "start", refuse)
                monkeypatch.setattr(_workers, "_idle", [])
            try:
                await asyncify(function, limiter=limiter, cancellable=cancellable)()
            except (ValueError, RuntimeError):
                monkeypatch.undo()
    if ending == "cancelled running" and cancellable:
        assert state_of("function") == "cancelling"
        gate.leave.set()
    await nothing_left("function")


def test_a_syncified_call_goes_through_its_states(portal: BlockingPortal | None) -> None:
    """Queued while the loop is busy, then running, each with the thread that waits and the portal. proves: in_flight"""
    busy, free, began = threading.Event(), threading.Event(), threading.Event()
    states: list[str] = []

    async def blocks_the_loop() -> str:
        busy.set()
        assert free.wait(WAIT_S)
        return threading.current_thread().name

    async def comes_after() -> None:
        states.append(state_of("comes_after"))
        began.set()

    def call(func: Callable[[], Any], results: list[Any]) -> threading.Thread:
        thread = threading.Thread(target=lambda: results.append(syncify(func, portal=portal)()), daemon=True)
        thread.start()
        return thread

    loops: list[str] = []
    first = call(blocks_the_loop, loops)
    assert busy.wait(WAIT_S)
    second = call(comes_after, [])
    while not seen("comes_after"):
        second.join(0.001)
    (queued,), (running,) = seen("comes_after"), seen("blocks_the_loop")
    assert (queued.direction, queued.state, queued.thread_id) == ("syncify", "queued", second.ident)
    assert (running.state, running.thread) == ("running", first.name)
    free.set()
    assert began.wait(WAIT_S)
    for thread in (first, second):
        thread.join(WAIT_S)
    assert states == ["running"]
    assert running.portal == queued.portal == loops[0]
    assert not seen("comes_after")
    assert not seen("blocks_the_loop")


def test_a_syncified_call_below_a_cancelled_awaiter_is_cancelling() -> None:
    """Until the coroutine's cleanup is done. proves: in_flight, S7"""
    states: list[str] = []

    async def main() -> None:
        began = threading.Event()

        async def coroutine() -> None:
            try:
                began.set()
                await anyio.sleep_forever()
            finally:
                states.append(state_of("coroutine"))

        async with anyio.create_task_group() as group:
            group.start_soon(asyncify(lambda: syncify(coroutine)()))
            await happened(began)
            states.append(state_of("coroutine"))
            group.cancel_scope.cancel()

    anyio.run(main)
    assert states == ["running", "cancelling"]
    assert not seen("coroutine")


@pytest.mark.anyio
async def test_a_step_of_an_asyncified_stream_is_a_call() -> None:
    """In flight while an item is produced; between two items, nothing is. proves: in_flight, I1"""
    gate = Gate()

    def numbers() -> Iterator[int]:
        yield 1
        gate()
        yield 2

    async with anyio.create_task_group() as group:
        stream = asyncify_iterator(numbers)()
        assert await anext(stream) == 1
        assert not seen("numbers")

        async def second() -> None:
            assert await anext(stream) == 2

        group.start_soon(second)
        await gate.running()
        (step,) = seen("numbers")
        assert (step.direction, step.state, step.thread) == ("asyncify", "running", gate.thread.name)
        gate.leave.set()
    await stream.aclose()
    assert not seen("numbers")


def test_a_step_of_a_syncified_stream_is_a_call(portal: BlockingPortal | None) -> None:
    """In flight while an item is produced, the first one, too; between two items, nothing is. proves: in_flight, I1"""
    states: list[tuple[str, ...]] = []

    async def numbers() -> AsyncIterator[int]:
        for number in range(2):
            await anyio.lowlevel.checkpoint()
            states.append(tuple(f"{call.direction} {call.state} {call.thread}" for call in seen("numbers")))
            yield number

    for _ in syncify_iterator(numbers, portal=portal)():
        assert not seen("numbers")
    assert states == [("syncify running MainThread",)] * 2
    assert not seen("numbers")


def test_a_snapshot_does_not_change() -> None:
    """It is a tuple of frozen records, and keeps nothing of the calls alive. proves: in_flight"""

    async def look() -> tuple[CallInFlight, ...]:
        return in_flight()

    snapshot = syncify(look)()
    assert isinstance(snapshot, tuple)
    with pytest.raises(dataclasses.FrozenInstanceError):
        snapshot[0].age = 0.0  # type: ignore[misc] # frozen


@asyncio_only
@pytest.mark.anyio
async def test_what_the_garbage_collector_calls_meanwhile_does_no_harm() -> None:
    """While a snapshot is made, a collection may begin, in which calls end and others begin. proves: in_flight"""
    limiter, gate = CapacityLimiter(40), Gate()

    def come_and_go(phase: str, info: dict[str, int]) -> None:
        if phase != "start" or threading.current_thread() is not asking:
            return
        if call in registry.blocking:
            del registry.blocking[call]
        else:
            registry.blocking[call] = None

    def ask() -> None:
        gc.callbacks.append(come_and_go)
        try:
            for allocations in range(200):  # between two collections: one of them falls into each place
                gc.set_threshold(1 + allocations % 10)
                assert len(in_flight()) in (39, 40)
        finally:
            gc.callbacks.remove(come_and_go)
            gc.set_threshold(*thresholds)

    thresholds = gc.get_threshold()
    async with anyio.create_task_group() as group:
        for _ in range(40):
            group.start_soon(asyncify(gate, limiter=limiter))
        for _ in range(40):
            await gate.running()
        call = next(iter(registry.blocking))
        outcome: list[tuple[str, Any]] = []
        asking = threading.Thread(target=lambda: outcome.append(outcome_of(ask)), daemon=True)
        asking.start()
        await anyio.to_thread.run_sync(asking.join, WAIT_S)
        gate.leave.set()
    assert outcome == [("value", None)]


def test_a_signal_handler_may_ask() -> None:
    """In the middle of whatever the main thread does, a handler looks and dumps: nothing hangs. proves: in_flight, dump"""
    run_program(
        COMMON
        + """
import io
looks = []

def look(number, frame):
    calls, report = in_flight(), io.StringIO()
    dump(report)
    looks.append((len(calls), len(report.getvalue())))
    if len(looks) < 200:
        signal.setitimer(signal.ITIMER_REAL, 0.001)  # not by an interval: on a busy machine, looks would pile up within looks

signal.signal(signal.SIGALRM, look)
signal.setitimer(signal.ITIMER_REAL, 0.001)
call = syncify(one)
while len(looks) < 200:
    call()
say(any(calls for calls, _ in looks), all(text for _, text in looks))
""",
        options=STRICT,
    ).expect("True True")


def test_a_forked_child_has_none_of_its_parents_calls() -> None:
    """They stayed with the parent; the child sees its own. proves: in_flight, P3"""
    run_program(
        COMMON
        + """
async def fork_in_the_middle():
    await asyncify(fork)()

def fork():
    child = os.fork()
    if not child:
        say("child", [call.function for call in in_flight()])
        async def look():
            return [call.function for call in in_flight()]
        say("child", syncify(look)())
        os._exit(0)
    os.waitpid(child, 0)
    say("parent", sorted(call.function for call in in_flight()))

syncify(fork_in_the_middle)()
""",
        options=STRICT,
    ).expect("child []", "child ['fork.<locals>.look']", "parent ['fork', 'fork_in_the_middle']")


def test_a_forked_child_has_none_of_its_parents_steps() -> None:
    """Nor the steps of a stream that is carried by a task, which its parent's thread waits for. proves: in_flight, P2

    Found by the explorer: `python -m schedules fork_in_mid_async_stream`.
    """
    run_program(
        COMMON
        + """
async def items():
    yield 0  # the first step is a call of its own
    child = os.fork()
    if not child:
        say("child", in_flight())
        os._exit(0)
    os.waitpid(child, 0)
    say("parent", [call.function for call in in_flight()])
    yield 1

list(syncify_iterator(items)())
""",
        options=STRICT,
    ).expect("child ()", "parent ['items']")

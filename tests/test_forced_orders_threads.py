"""Rare orders around a worker thread, brought about by force: what comes too late, twice, or as Ctrl-C comes."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from types import FrameType, SimpleNamespace
from typing import Any, cast

import anyio
import pytest
from anyio import CancelScope, CapacityLimiter
from anyio.lowlevel import current_token

from gllm_core.concurrency import (
    _threadcall_anyio,
    _threads,
    _workers,
    asyncify,
)
from gllm_core.concurrency._anyio_internals import cancel_scope_of_worker
from gllm_core.concurrency._delivery import home_here
from gllm_core.concurrency._inflight import Job
from gllm_core.concurrency._stacks import links, stack_of
from gllm_core.concurrency._threadcall import Outbox, ThreadCall
from gllm_core.concurrency._threadcall_anyio import AnyioThreadCall
from gllm_core.concurrency._turnstile import Turnstile, turnstile_of
from handshakes import WAIT_S, Gate, turns
from marks import asyncio_only


class Interrupt(BaseException):
    """What a signal handler raises; asyncio lets a KeyboardInterrupt of any task out of the loop."""


class Noted:
    """A job that says on which threads it was done."""

    def __init__(self) -> None:
        self.done_on: list[threading.Thread] = []
        self.reported = threading.Event()

    def work(self) -> None:
        self.done_on.append(threading.current_thread())

    def report(self) -> None:
        self.reported.set()

    def refuse(self, error: RuntimeError) -> None:
        raise error


def test_a_worker_that_is_called_as_it_gives_up_waiting_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that was rung for when its wait had just ended does that job before it leaves. proves: A2, A12"""
    first, late = Noted(), Noted()

    class Idle(list[Any]):
        def remove(self, doorbell: Any) -> None:
            if not late.done_on:
                _workers.start(late)
            super().remove(doorbell)

    monkeypatch.setattr(_workers, "_jobs", deque())
    monkeypatch.setattr(_workers, "_idle", Idle())
    monkeypatch.setattr(_workers, "_may_wake", [None])
    monkeypatch.setattr(_workers, "IDLE_TIMEOUT_S", 0.01)
    _workers.start(first)
    assert first.reported.wait(WAIT_S)
    assert late.reported.wait(WAIT_S)
    first.done_on[0].join(WAIT_S)
    assert not first.done_on[0].is_alive()
    assert late.done_on == first.done_on
    assert _workers._idle == []


async def prepared(func: Callable[..., Any], limiter: CapacityLimiter) -> ThreadCall:
    """A call that has its token, and is on its way to a thread."""
    call = ThreadCall(func, (1,), {}, "func", limiter, turnstile_of(limiter))
    assert call.turnstile is not None
    assert call.turnstile.try_acquire(call)
    loop = asyncio.get_running_loop()
    call.prepare(loop, current_token(), CancelScope(), copy_context(), Outbox(loop))
    return call


@pytest.mark.anyio
@asyncio_only
async def test_a_call_that_was_left_before_it_began_is_neither_run_nor_refused() -> None:
    """A thread, or the lack of one, that comes when Ctrl-C has ended the awaiter does nothing, and frees no token twice.

    proves: A3, A4
    """
    limiter, ran = CapacityLimiter(1), list[int]()
    call = await prepared(ran.append, limiter)
    call.leave(asyncio.get_running_loop())
    limiter.acquire_on_behalf_of_nowait("the next one")
    call.work()
    call.report()
    call.refuse(RuntimeError("can't start new thread"))
    await turns()
    assert (ran, call.error, limiter.statistics().borrowers) == ([], None, ("the next one",))


@pytest.mark.anyio
@asyncio_only
async def test_a_delivery_that_was_broken_off_before_the_token_was_free_frees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C as a call is delivered, before its token is given back: made once more, the delivery gives it back. proves: A3"""
    limiter = CapacityLimiter(1)
    call = await prepared(abs, limiter)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Turnstile, "release", interrupted)
        with pytest.raises(KeyboardInterrupt):
            call.deliver(True)
    assert limiter.borrowed_tokens == 1
    call.deliver(True)
    call.deliver(True)
    assert limiter.borrowed_tokens == 0


@pytest.mark.anyio
async def test_a_thread_of_anyios_that_comes_up_too_late_does_nothing() -> None:
    """A thread of AnyIO's that begins when the awaiter has left, and its token was given back, runs no function. proves: A4"""
    limiter, ran = CapacityLimiter(1), list[int]()
    turnstile = turnstile_of(limiter)
    call = AnyioThreadCall(ran.append, (1,), {}, "append", limiter, turnstile)
    assert turnstile.try_acquire(call)
    call.start(home_here())
    with CancelScope() as scope:
        scope.cancel()
        await call.run(True)
    assert (scope.cancelled_caught, limiter.borrowed_tokens) == (True, 0)
    call._work()
    assert (ran, limiter.borrowed_tokens) == ([], 0)


@pytest.mark.anyio
async def test_two_errors_at_once_reach_the_awaiter_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no thread of AnyIO's can be started, and a signal handler raises meanwhile, both are raised, and the token is free.

    proves: A3, A8
    """
    limiter = CapacityLimiter(1)
    turnstile = turnstile_of(limiter)
    refusal, interrupt = RuntimeError("can't start new thread"), Interrupt()

    async def refuse(*_args: object, **_options: object) -> None:
        await turns()
        raise refusal

    def interrupted(self: AnyioThreadCall) -> None:
        raise interrupt

    monkeypatch.setattr(_threadcall_anyio, "to_thread", SimpleNamespace(run_sync=refuse))
    monkeypatch.setattr(AnyioThreadCall, "cancel", interrupted)
    call = AnyioThreadCall(int, (), {}, "int", limiter, turnstile)
    assert turnstile.try_acquire(call)
    call.start(home_here())
    with pytest.raises(BaseExceptionGroup) as caught:
        await call.run(False)
    assert set(caught.value.exceptions) == {refusal, interrupt}
    assert limiter.borrowed_tokens == 0


def test_who_waits_on_trio_behind_another_loop_has_its_turn() -> None:
    """A task that waits behind one of another run of trio is next, though trio lets nobody look around. proves: A11"""
    limiter, gate, order = CapacityLimiter(1), Gate(), list[str]()
    turnstile = turnstile_of(limiter)

    async def behind() -> None:
        with anyio.fail_after(WAIT_S):
            await asyncify(order.append, limiter=limiter)("behind")

    async def main() -> None:
        with anyio.fail_after(2 * WAIT_S):
            async with anyio.create_task_group() as group:
                group.start_soon(asyncify(gate, limiter=limiter))
                await gate.running()
                group.start_soon(asyncify(order.append, limiter=limiter), "first")
                while len(turnstile._queue) < 1:
                    await turns()
                thread.start()
                while len(turnstile._queue) < 2:
                    await turns()
                gate.leave.set()

    thread = threading.Thread(target=lambda: anyio.run(behind, backend="trio"))
    anyio.run(main, backend="trio")
    thread.join(WAIT_S)
    assert not thread.is_alive()
    assert (order, limiter.borrowed_tokens) == (["first", "behind"], 0)


def test_a_token_that_is_sent_home_twice_is_given_back_once() -> None:
    """What was broken off on its way to a limiter's loop, and is sent again, frees nobody else's token. proves: A3"""

    async def main() -> int:
        limiter = CapacityLimiter(1)
        turnstile, job = turnstile_of(limiter), Job(None)
        assert turnstile.try_acquire(job)
        turnstile._arrive(job, None, True)
        limiter.acquire_on_behalf_of_nowait("the next one")
        turnstile._arrive(job, None, True)
        return limiter.borrowed_tokens

    assert anyio.run(main) == 1


def test_a_scope_that_tells_its_tasks_by_itself_is_just_cancelled() -> None:
    """Where AnyIO's scopes have no such private step as ours needs, the scope of a worker is cancelled without. proves: A7"""
    cancelled: list[str] = []
    cancel_scope_of_worker(SimpleNamespace(cancel=lambda: cancelled.append("cancelled")))
    assert cancelled == ["cancelled"]


@pytest.fixture(params=[False, True], ids=["collects between steps", "collects anywhere"])
def anywhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """As on Python 3.12 and later, or as on 3.11."""
    monkeypatch.setattr(_threads, "_COLLECTS_ANYWHERE", request.param)
    anywhere: bool = request.param
    return anywhere


class Looked:
    """Stands for a coroutine, or a frame, of another thread: says whether the collector was on when it was looked at."""

    def __init__(self, running: bool = False) -> None:
        self.cr_running = running
        self.collector_was_on: list[bool] = []

    @property
    def cr_frame(self) -> None:
        self.collector_was_on.append(gc.isenabled())

    f_back = cr_frame
    cr_await = None


def test_no_collection_comes_while_frames_of_others_are_read(anywhere: bool) -> None:
    """A finalizer would give way to the thread whose frame it is, which goes on: the interpreter crashes. proves: dump"""
    looked = Looked()
    list(links(looked))
    stack_of(cast("FrameType", looked))
    assert looked.collector_was_on == [not anywhere] * 2
    running = Looked(running=True)
    assert list(links(running)) == [(running, None)]
    assert running.collector_was_on == [], "it was looked at as it ran"
    with pytest.raises(ZeroDivisionError):
        _threads.without_collector(partial(divmod, 1, 0))
    assert gc.isenabled()


@pytest.mark.usefixtures("anywhere")
@pytest.mark.parametrize("collects", [False, True], ids=["collector off", "collector on"])
def test_the_threads_can_be_looked_at_on_every_python(collects: bool) -> None:
    """Whether or not asking for the threads may hang on this Python, they are told, and the collector is as it was before.

    proves: in_flight, dump
    """
    (gc.enable if collects else gc.disable)()
    try:
        frames = _threads.current_frames()
        others = _threads.current_frames(dict)  # as the explorer asks, which has put its own question in the place of Python's
        assert gc.isenabled() == collects
    finally:
        gc.enable()
    assert others == {}
    assert frames[threading.get_ident()].f_code.co_name == "test_the_threads_can_be_looked_at_on_every_python"

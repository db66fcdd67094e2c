"""The same as where frames give out, at one step that is named: a RecursionError is brought about by force."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from anyio import CapacityLimiter
from anyio.lowlevel import checkpoint

from gllm_core.concurrency import PortalNotRunningError, asyncify, get_default_portal, in_flight, syncify, syncify_iterator
from gllm_core.concurrency._call import Call
from gllm_core.concurrency._carrier_task import CarrierTask
from gllm_core.concurrency._carrier_task_steps import StepTask
from gllm_core.concurrency._dispatch import Dispatcher
from gllm_core.concurrency._loops import AsyncioTasks
from gllm_core.concurrency._threadcall import ThreadCall
from handshakes import WAIT_S
from marks import asyncio_only


def no_frames(*_: object) -> None:
    raise RecursionError


@pytest.mark.anyio
@asyncio_only
async def test_a_call_that_could_not_be_left_is_left_at_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call whose token could not be given back gives it back before the next call takes one. proves: A3, in_flight"""
    limiter = CapacityLimiter(1)
    call = asyncify(int, limiter=limiter)
    assert await call() == 0
    with monkeypatch.context() as patch:
        patch.setattr(ThreadCall, "prepare", no_frames)
        patch.setattr(ThreadCall, "leave", no_frames)
        with pytest.raises(RecursionError):
            await call()
    assert limiter.borrowed_tokens == 1
    with anyio.fail_after(WAIT_S):
        assert await call() == 0
    assert (limiter.borrowed_tokens, in_flight()) == (0, ())


def raise_in(step: Any, monkeypatch: pytest.MonkeyPatch, error: type[RuntimeError] = RecursionError) -> None:
    """Have no loop be woken for *step*."""
    wake = AsyncioTasks.wake

    def woken(tasks: AsyncioTasks, act: Any, of: Any) -> None:
        if getattr(act, "__func__", act) is step:
            raise error
        wake(tasks, act, of)

    monkeypatch.setattr(AsyncioTasks, "wake", woken)


def test_a_call_that_could_not_be_handed_over_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller has its RecursionError, nothing is kept, and the portal goes on. proves: S4, S5, S12"""
    portal = get_default_portal()
    call = syncify(checkpoint)
    call()
    with monkeypatch.context() as patch:
        raise_in(Dispatcher._start, patch)
        with pytest.raises(RecursionError):
            call()
    assert in_flight() == ()
    call()
    assert get_default_portal() is portal


@pytest.mark.parametrize(("error", "raised"), [(RecursionError, RecursionError), (RuntimeError, KeyboardInterrupt)])
def test_a_call_that_could_not_be_cancelled_goes_on(
    error: type[RuntimeError], raised: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller leaves with its RecursionError, and the coroutine, which has begun, runs to its end. A loop that is closed
    is looked after by the wait. proves: S5, S6
    """
    begun = threading.Event()
    portal = get_default_portal()
    may_end, ended = portal.call(anyio.Event), threading.Event()

    async def coroutine() -> None:
        begun.set()
        await may_end.wait()
        ended.set()

    def interrupted(*_: object) -> None:
        assert begun.wait(WAIT_S)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        raise_in(Dispatcher._deliver_cancel, patch, error)
        patch.setattr(Call, "wait", interrupted)
        with pytest.raises(raised):
            syncify(coroutine)()
    portal.call(may_end.set)
    assert ended.wait(WAIT_S)
    assert get_default_portal() is portal


def test_a_close_that_is_cancelled_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    """Where nobody waits for a stream's close, its cancellation ends it, and is not logged. proves: S4, I4"""

    async def cancelled(_: object) -> None:
        raise asyncio.CancelledError

    step: Any = SimpleNamespace(_run_last=cancelled, name="stream")
    with caplog.at_level(logging.ERROR), pytest.raises(asyncio.CancelledError):
        asyncio.run(StepTask._run_unheard(step, None))
    assert not caplog.records


def test_a_stream_that_cannot_be_closed_is_left() -> None:
    """An object that has `__aiter__` and `__anext__` alone is let go of in its middle. proves: I1, I3"""

    class Endless:
        def __aiter__(self) -> Endless:
            return self

        async def __anext__(self) -> int:
            await checkpoint()
            return 1

    stream = syncify_iterator(Endless)()
    assert next(stream) == 1
    stream.close()
    assert in_flight() == ()


def test_a_step_that_could_not_be_asked_for_ends_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """The consumer has its RecursionError, the source is closed, and the portal goes on. proves: I3, S5"""
    closed: list[bool] = []

    async def source() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    portal = get_default_portal()
    stream = syncify_iterator(source)()
    assert next(stream) == 1
    with monkeypatch.context() as patch:
        raise_in(StepTask.resume, patch)
        with pytest.raises(RecursionError):
            next(stream)
    assert (closed, in_flight()) == ([True], ())
    assert get_default_portal() is portal


def test_what_is_left_as_the_interpreter_ends_is_refused() -> None:
    """No thread may wait for a loop's any more. proves: I3, P4"""
    carrier: Any = SimpleNamespace(_call=object(), name="stream")
    with pytest.raises(PortalNotRunningError):
        CarrierTask.leave(carrier, carrier, is_finalizing=lambda: True)

"""After an asyncified call, nothing of ours keeps arguments, value or exception alive: all with the garbage collector off."""

from __future__ import annotations

import asyncio
import gc
import threading
import types
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from anyio import CapacityLimiter

from deaths import Boom, Deaths, Thing
from gllm_core.concurrency import asyncify, syncify
from handshakes import Gate, happened, waiting
from marks import asyncio_only, both_modes

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("deaths")]


def fail(*_: object, **__: object) -> None:
    raise Boom


@both_modes
async def test_asyncify_lets_go_after_success(deaths: Deaths, cancellable: bool) -> None:
    """Arguments and value of an asyncified call die with the last reference of the awaiter. proves: A10"""

    def function(*_: object, **__: object) -> Thing:
        return deaths.watch(Thing())  # type: ignore[no-any-return] # it is what was passed

    await asyncify(function, cancellable=cancellable)(deaths.watch(Thing()), key=deaths.watch(Thing()))
    assert deaths.all_at_once()


@both_modes
async def test_asyncify_lets_go_after_an_error(deaths: Deaths, cancellable: bool) -> None:
    """Arguments and exception of an asyncified call die when the awaiter has handled it. proves: A10"""
    try:
        await asyncify(fail, cancellable=cancellable)(deaths.watch(Thing()), key=deaths.watch(Thing()))
    except Boom as error:
        deaths.watch(error)
    assert deaths.all_at_once()


@asyncio_only
@pytest.mark.parametrize("kind", [Boom, asyncio.CancelledError])
async def test_an_error_that_ends_the_task_makes_no_cycle_with_it(deaths: Deaths, kind: type[BaseException]) -> None:
    """A task that an asyncified call's exception ended dies with that exception, once dropped. proves: A10"""

    def function(_: object) -> None:
        raise kind

    task = deaths.watch(asyncio.ensure_future(asyncify(function)(deaths.watch(Thing()))))
    await asyncio.wait([task])
    assert task.cancelled() or isinstance(task.exception(), Boom)
    del task
    await anyio.lowlevel.checkpoint()  # the loop lets go of its last callback
    assert deaths.all_at_once()


@both_modes
async def test_asyncify_lets_go_after_a_scope_was_cancelled(deaths: Deaths, cancellable: bool) -> None:
    """Arguments, value and task state die after a scope's cancellation, in both modes. proves: A10"""
    gate, done = Gate(), threading.Event()

    def function(_: object) -> Thing:
        gate()
        value: Thing = deaths.watch(Thing())
        done.set()
        return value

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(asyncify(function, cancellable=cancellable), deaths.watch(Thing()))
            await gate.running()
            scope.cancel()
            if not cancellable:
                gate.leave.set()
    gate.leave.set()
    await happened(done)
    assert await anyio.to_thread.run_sync(deaths.all_soon)  # abandoned: the worker and the loop let go, in their time


@asyncio_only
@both_modes
async def test_asyncify_lets_go_after_a_native_cancellation(deaths: Deaths, cancellable: bool) -> None:
    """Arguments, value, lost exception and the task itself die after `task.cancel()`, in both modes. proves: A10"""
    gate, done = Gate(), threading.Event()

    def function(_: object) -> Thing:
        gate()
        value: Thing = deaths.watch(Thing())
        done.set()
        return value

    task = deaths.watch(asyncio.ensure_future(asyncify(function, cancellable=cancellable)(deaths.watch(Thing()))))
    await gate.running()
    task.cancel()
    if not cancellable:
        gate.leave.set()
    await asyncio.wait([task])
    gate.leave.set()
    await happened(done)
    del task
    assert await anyio.to_thread.run_sync(deaths.all_soon)


async def test_asyncify_lets_go_when_it_never_got_a_token(deaths: Deaths) -> None:
    """Arguments of a call that was cancelled while it waited for a token die with it. proves: A10, A4"""
    limiter = CapacityLimiter(1)
    scope = anyio.CancelScope()

    async def cancel_once_it_waits() -> None:
        await waiting(limiter)
        scope.cancel()

    async with limiter, anyio.create_task_group() as group:
        group.start_soon(cancel_once_it_waits)
        with scope:
            await asyncify(fail, limiter=limiter)(deaths.watch(Thing()))
    assert scope.cancelled_caught
    assert deaths.all_at_once()


def ours(frame: types.FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).startswith("gllm_core.")


async def test_no_frame_of_ours_refers_to_the_exception_or_the_arguments() -> None:
    """The frames in an exception's traceback, as far as they are ours, hold neither it nor the arguments. proves: A10, S12"""
    argument = Thing()

    async def afails(_: object) -> None:
        await anyio.lowlevel.checkpoint()
        raise Boom

    calls: list[Callable[[], Any]] = [
        partial(asyncify(fail), argument, key=argument),
        partial(asyncify(syncify(afails)), argument),
    ]
    for call in calls:
        with pytest.raises(Boom) as caught:
            await call()
        traceback, frames = caught.value.__traceback__, list[types.FrameType]()
        while traceback is not None:
            frames += [traceback.tb_frame] * ours(traceback.tb_frame)
            traceback = traceback.tb_next
        assert frames
        for frame in frames:
            assert all(held is not caught.value for held in frame.f_locals.values()), frame
            if frame.f_code.co_name == "wrapper":
                assert not any(held is argument for held in frame.f_locals.values()), frame


@pytest.mark.parametrize("outcome", ["value", "error", "cancelled"])
async def test_a_hundred_calls_leave_nothing_behind(outcome: str) -> None:
    """With the collector off, a hundred more calls in both directions leave no more objects. proves: A10, S12"""

    async def there(thing: Thing) -> Thing:
        await anyio.lowlevel.checkpoint()
        if outcome == "error":
            raise Boom
        return thing

    async def call() -> None:
        with anyio.CancelScope() as scope:
            if outcome == "cancelled":
                scope.cancel()
            with suppress(Boom):
                await asyncify(syncify(there))(Thing())

    async def calls(count: int) -> int:
        for _ in range(count):
            await call()
        return len(gc.get_objects())

    await calls(30)
    gc.collect()
    before = await calls(1)
    assert await calls(100) - before < 50

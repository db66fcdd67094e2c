"""syncify: from a lock that two threads hand to and fro to the whole call."""

from __future__ import annotations

import asyncio
import functools
import os
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import Context, ContextVar, copy_context
from typing import Any

from gllm_core.concurrency import syncify

from ..callers import ping_pong, wake_up, wake_up_by_eventfd
from ..clocks import Sync, one_after_another
from ..loops import loop_in_thread
from ..model import Candidate, Workload
from ..sync_workloads import at_once
from .ladder import Goal, Ladder, times
from .ways import Send, way_into

Func = Callable[..., Coroutine[Any, Any, object]]
FLOOR = "call_soon_threadsafe and a lock, without a task"
LOOK_S = 0.1
"""After so long a call looks whether the loop is still alive, in seconds. None waits that long here."""


def _bell() -> threading.Lock:
    doorbell = threading.Lock()
    doorbell.acquire()
    return doorbell


class _Call:
    """What both threads share."""

    __slots__ = ("args", "began_at", "claim", "context", "doorbell", "error", "func", "kwargs", "name", "thread_id", "value")
    claim: list[None]
    began_at: float
    thread_id: int

    def __init__(self, func: Func, args: Any, kwargs: Any, context: Context, name: str) -> None:
        self.func: Any = func
        self.args: Any = args
        self.kwargs: Any = kwargs
        self.context: Any = context
        self.name = name
        self.doorbell = _bell()
        self.value: object = None
        self.error: BaseException | None = None

    def wait(self) -> object:
        while not self.doorbell.acquire(timeout=LOOK_S):
            pass
        if self.error is not None:
            raise self.error
        return self.value


async def _drive(call: _Call) -> None:
    try:
        call.value = await call.func(*call.args, **call.kwargs)
    except BaseException as error:  # noqa: BLE001 # as a call has it: it goes to the caller
        call.error = error
    finally:
        call.func = call.args = call.kwargs = call.context = None
        call.doorbell.release()


# Each of the following does what the one before it does, and one thing more.


def _queued(send: Send) -> Sync:
    doorbell = _bell()

    def arrive(bell: threading.Lock) -> None:
        bell.release()

    def call() -> None:
        send(arrive, doorbell)
        doorbell.acquire()

    return call


def _as_task(loop: asyncio.AbstractEventLoop, send: Send, func: Func) -> Sync:
    doorbell = _bell()

    async def drive(func: Func) -> None:
        await func()
        doorbell.release()

    def arrive(func: Func) -> None:
        loop.create_task(drive(func))

    def call() -> None:
        send(arrive, func)
        doorbell.acquire()

    return call


def _as_task_begun_at_once(loop: asyncio.AbstractEventLoop, send: Send, func: Func) -> Sync:
    """As above, but a task is begun where it is made, which Python 3.12 brought."""
    doorbell = _bell()

    async def drive(func: Func) -> None:
        await func()
        doorbell.release()

    def arrive(func: Func) -> None:
        eager: dict[str, Any] = {"eager_start": True}
        asyncio.Task(drive(func), loop=loop, **eager)

    def call() -> None:
        send(arrive, func)
        doorbell.acquire()

    return call


def _in_context(loop: asyncio.AbstractEventLoop, send: Send, func: Func) -> Sync:
    doorbell = _bell()

    async def drive(func: Func) -> None:
        await func()
        doorbell.release()

    def arrive(call: tuple[Func, Context]) -> None:
        func, context = call
        loop.create_task(drive(func), context=context)

    def call() -> None:
        send(arrive, (func, copy_context()))
        doorbell.acquire()

    return call


def _with_outcome(loop: asyncio.AbstractEventLoop, send: Send, func: Func) -> Sync:
    def arrive(call: _Call) -> None:
        loop.create_task(_drive(call), name=call.name, context=call.context)

    def wrapper(*args: Any, **kwargs: Any) -> object:
        call = _Call(func, args, kwargs, copy_context(), "a call")
        send(arrive, call)
        return call.wait()

    return wrapper


def _in_flight(loop: asyncio.AbstractEventLoop, send: Send, func: Func) -> Sync:
    in_flight: dict[_Call, list[None]] = {}

    def arrive(call: _Call) -> None:
        call.claim.pop()
        loop.create_task(_drive(call), name=call.name, context=call.context)

    def wrapper(*args: Any, **kwargs: Any) -> object:
        call = _Call(func, args, kwargs, copy_context(), "a call")
        call.began_at = time.monotonic()
        call.thread_id = threading.get_ident()
        in_flight[call] = call.claim = [None]
        send(arrive, call)
        try:
            return call.wait()
        finally:
            in_flight.pop(call, None)

    return wrapper


def _allowed_to_wait(loop: asyncio.AbstractEventLoop, send: Send, func: Func) -> Sync:
    further = _in_flight(loop, send, func)
    below = threading.local()
    below.job = None
    chain: ContextVar[tuple[object, ...]] = ContextVar("chain", default=())

    def wrapper(*args: Any, **kwargs: Any) -> object:
        if below.job is not None or chain.get() or asyncio._get_running_loop() is not None:
            raise RuntimeError("below another call, or on the thread of a loop, it would have to look further")
        return further(*args, **kwargs)

    return wrapper


@contextmanager
def steps() -> Iterator[list[Candidate]]:
    with ExitStack() as stack:
        loop = stack.enter_context(loop_in_thread())
        send = way_into(stack, loop)
        found: dict[str, Sync] = {"a lock, handed to and fro between two threads": stack.enter_context(ping_pong()).call}
        if hasattr(os, "eventfd"):
            found["+ a loop that is woken: an eventfd"] = wake_up_by_eventfd(stack, loop)
        found["+ what it is to call, in a queue"] = _queued(send)
        found["+ a task, whose first step is a turn of its own"] = _as_task(loop, send, at_once)
        found["+ a copy of the caller's context"] = _in_context(loop, send, at_once)
        found["+ arguments, a name, an outcome, and a bell of the call's own"] = _with_outcome(loop, send, at_once)
        found["+ it is known while in flight, and begun once"] = _in_flight(loop, send, at_once)
        found["+ a look whether this thread may wait for that loop"] = _allowed_to_wait(loop, send, at_once)
        beside: dict[str, Sync] = {FLOOR: wake_up(loop)}
        if sys.version_info >= (3, 12):
            beside["the steps up to the task, where that begins at once"] = _as_task_begun_at_once(loop, send, at_once)
        yield [
            Candidate("the whole call", "ours", functools.partial(one_after_another, syncify(at_once))),
            *(Candidate(name, "floor", functools.partial(one_after_another, call)) for name, call in found.items()),
            *(Candidate(name, "peer", functools.partial(one_after_another, call)) for name, call in beside.items()),
        ]


LIMIT = """
The floor that the bar is measured by makes no task. The task alone, with the turn of the loop that its first step is, costs
about as much as a lock to and fro; it is promised, and so is the context (S3), so up to there nothing can be left out. What
the whole call adds to the last step is what else is promised: it does not wait for a loop that is dead (S4), Ctrl-C reaches
the coroutine (S6), the cancellation of whoever waits above does, too (S7), and a call that would wait for itself is found out
(S8). The bar leaves hardly any room for that above the last step. From Python 3.12 on, a task can begin at once, without that
turn, and before those that were ready before it; this is not used.
"""

LADDERS = [
    Ladder(
        Workload("syncify", "one call after another, the coroutine returns at once", steps, settings=("pinned",)),
        Goal("syncify / floor", f"1.5 x {FLOOR}", times(1.5, FLOOR)),
        LIMIT,
    )
]

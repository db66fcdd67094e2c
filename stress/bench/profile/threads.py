"""asyncify, step by step: async functions that have *func* run by one worker thread, each of them with one thing more."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from contextvars import Context, copy_context
from functools import partial
from math import inf
from typing import Any

from anyio import CancelScope, CapacityLimiter, WouldBlock
from anyio.lowlevel import EventLoopToken, checkpoint, current_token

from ..clocks import Async, Sync
from .ways import Thread, cached_worker, settle, way_into, worker

Future = asyncio.Future[None]


def take_free(limiter: CapacityLimiter, borrower: object) -> bool:
    try:
        limiter.acquire_on_behalf_of_nowait(borrower)
    except WouldBlock:
        return False
    return True


def by_thread(stack: ExitStack, loop: asyncio.AbstractEventLoop, func: Sync) -> Async:
    """A future that the thread settles by way of the loop. No value, no error, no bound."""
    send = way_into(stack, loop)

    def work(future: Future) -> None:
        func()
        send(settle, future)

    put = worker(stack, work)

    async def call() -> None:
        future = loop.create_future()
        put(future)
        await future

    return call


def with_token(stack: ExitStack, loop: asyncio.AbstractEventLoop, func: Sync, limiter: CapacityLimiter) -> Async:
    """The same while a token of *limiter* is held."""
    send = way_into(stack, loop)

    def work(future: Future) -> None:
        func()
        send(settle, future)

    put = worker(stack, work)

    async def call() -> None:
        borrower = object()
        if not take_free(limiter, borrower):
            await limiter.acquire_on_behalf_of(borrower)
        try:
            future = loop.create_future()
            put(future)
            await future
        finally:
            limiter.release_on_behalf_of(borrower)

    return call


def with_context(stack: ExitStack, loop: asyncio.AbstractEventLoop, func: Sync, limiter: CapacityLimiter) -> Async:
    """The same in a copy of the awaiter's context."""
    send = way_into(stack, loop)

    def work(job: tuple[Future, Context]) -> None:
        future, context = job
        context.run(func)
        send(settle, future)

    put = worker(stack, work)

    async def call() -> None:
        borrower = object()
        if not take_free(limiter, borrower):
            await limiter.acquire_on_behalf_of(borrower)
        try:
            future = loop.create_future()
            put((future, copy_context()))
            await future
        finally:
            limiter.release_on_behalf_of(borrower)

    return call


class Job:
    """What both threads share."""

    __slots__ = ("args", "began_at", "context", "error", "func", "future", "kwargs", "scope", "thread_id", "token", "value")
    future: Future
    context: Context
    scope: CancelScope
    token: EventLoopToken

    def __init__(self, func: Any, args: Any, kwargs: Any) -> None:
        self.func = func
        self.args = args
        self.kwargs = kwargs
        self.value: object = None
        self.error: BaseException | None = None
        self.began_at = time.monotonic()
        self.thread_id: int | None = None


def with_record(stack: ExitStack, loop: asyncio.AbstractEventLoop, func: Sync, limiter: CapacityLimiter) -> Async:
    """The same with arguments and an outcome, in a record that is known while the call is in flight."""
    send = way_into(stack, loop)
    in_flight: dict[Job, None] = {}

    def work(job: Job) -> None:
        job.thread_id = threading.get_ident()
        try:
            job.value = job.context.run(job.func, *job.args, **job.kwargs)
        except BaseException as error:  # noqa: BLE001 # as a call has it: it goes to the awaiter
            job.error = error
        finally:
            job.func = job.args = job.kwargs = None
        send(settle, job.future)

    put = worker(stack, work)

    async def call(*args: Any, **kwargs: Any) -> object:
        job = Job(func, args, kwargs)
        in_flight[job] = None
        try:
            if not take_free(limiter, job):
                await limiter.acquire_on_behalf_of(job)
            try:
                job.future = loop.create_future()
                job.context = copy_context()
                put(job)
                await job.future
            finally:
                limiter.release_on_behalf_of(job)
        finally:
            in_flight.pop(job, None)
        if job.error is not None:
            raise job.error
        return job.value

    return call


def with_way_back(
    stack: ExitStack, loop: asyncio.AbstractEventLoop, func: Sync, limiter: CapacityLimiter, thread: Thread = worker
) -> Async:
    """The same, and the function finds the way back: `anyio.from_thread` wants a token of the loop, and a scope."""
    send = way_into(stack, loop)
    in_flight: dict[Job, None] = {}
    of_thread = threading.local()

    def work(job: Job) -> None:
        of_thread.token, of_thread.scope = job.token, job.scope
        job.thread_id = threading.get_ident()
        try:
            job.value = job.context.run(job.func, *job.args, **job.kwargs)
        except BaseException as error:  # noqa: BLE001 # as a call has it: it goes to the awaiter
            job.error = error
        finally:
            del of_thread.token, of_thread.scope
            job.func = job.args = job.kwargs = None
        send(settle, job.future)

    put = thread(stack, work)
    token_type: Any = None
    scope_type: Any = None

    async def call(*args: Any, **kwargs: Any) -> object:
        nonlocal token_type, scope_type
        if token_type is None:
            token_type = partial(EventLoopToken, current_token().backend_class)
            scope_type = type(CancelScope())
        job = Job(func, args, kwargs)
        in_flight[job] = None
        try:
            if not take_free(limiter, job):
                await limiter.acquire_on_behalf_of(job)
            try:
                job.future = loop.create_future()
                job.context = copy_context()
                job.token, job.scope = token_type(loop), scope_type()
                put(job)
                await job.future
            finally:
                limiter.release_on_behalf_of(job)
        finally:
            in_flight.pop(job, None)
        if job.error is not None:
            raise job.error
        return job.value

    return call


def with_cached_thread(stack: ExitStack, loop: asyncio.AbstractEventLoop, func: Sync, limiter: CapacityLimiter) -> Async:
    """The same, on a thread that was idle last, and leaves when it has been idle for long."""
    return with_way_back(stack, loop, func, limiter, cached_worker)


def with_look(stack: ExitStack, loop: asyncio.AbstractEventLoop, func: Sync, limiter: CapacityLimiter) -> Async:
    """The same, if the awaiter has not been cancelled already."""
    further = with_way_back(stack, loop, func, limiter, cached_worker)

    deadline: Callable[[], float] | None = None

    async def call() -> object:
        nonlocal deadline
        if deadline is None:
            deadline = current_token().backend_class.current_effective_deadline
        task = asyncio.current_task(loop)
        if deadline() == -inf or (task is not None and task.cancelling()):
            await checkpoint()
        return await further()

    return call

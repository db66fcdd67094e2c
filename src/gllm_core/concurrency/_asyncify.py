"""asyncify: a token, a worker thread, and a wait that keeps its promises under cancellation."""

from __future__ import annotations

import asyncio
import logging
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError as BridgeCancelledError
from contextvars import copy_context
from math import inf
from typing import Any, ParamSpec, Protocol, TypeVar, overload

import anyio
from anyio import CancelScope, CapacityLimiter, current_effective_deadline, to_thread
from anyio.lowlevel import checkpoint, current_token

from . import _workers
from ._anyio_internals import HAS_WORKER_THREADLOCALS, forget_async_library, running_asyncio_loop
from ._callables import dress, name_of, reject_not_blocking
from ._inflight import Job, current
from ._threadcall import ThreadCall, stop_iteration_error
from ._tokens import acquire

P = ParamSpec("P")
R = TypeVar("R")

logger = logging.getLogger("gllm_core.concurrency")


class _AsyncifyDecorator(Protocol):
    def __call__(self, func: Callable[P, R], /) -> Callable[P, Coroutine[Any, Any, R]]: ...


class _OfLoop(threading.local):
    """What AnyIO would look up at each call, kept for the loop that ran on this thread last, without keeping that loop."""

    loop: Callable[[], asyncio.AbstractEventLoop | None] = staticmethod(lambda: None)
    limiter: CapacityLimiter
    scope_type: type[CancelScope]
    token_type: Any


_of_loop = _OfLoop()


@overload
def asyncify(func: Callable[P, R]) -> Callable[P, Coroutine[Any, Any, R]]: ...
@overload
def asyncify(
    func: Callable[P, R], *, limiter: CapacityLimiter | None, cancellable: bool = False
) -> Callable[P, Coroutine[Any, Any, R]]: ...
@overload
def asyncify(
    func: Callable[P, R], *, cancellable: bool, limiter: CapacityLimiter | None = None
) -> Callable[P, Coroutine[Any, Any, R]]: ...
@overload
def asyncify(func: None = None, *, cancellable: bool = False, limiter: CapacityLimiter | None = None) -> _AsyncifyDecorator: ...
def asyncify(
    func: Callable[..., Any] | None = None, *, cancellable: bool = False, limiter: CapacityLimiter | None = None
) -> Any:
    """Make a blocking function awaitable: each await runs it once, on a worker thread.

    Args:
        func: the blocking function. Left out, a decorator is returned.
        cancellable: whether a cancelled awaiter leaves at once. The function runs on to its end all the same; its value is
            dropped, and an exception that it raises is logged.
        limiter: bounds how many functions that share it run at the same time; a token is held until the function
            returns. None stands for AnyIO's default thread limiter of the running loop (40 tokens unless changed).

    Returns:
        A coroutine function with the parameters of *func*, its name, doc and signature. It returns what *func* returns
        and raises what it raises, as the same object (`StopIteration` becomes `RuntimeError`).

    Raises:
        TypeError: when wrapping, for what cannot work: a coroutine function, a generator function, a non-callable.

    **Cancellation:** waiting for a token ends at once, and the function never starts. Once it runs, the awaiter stays until
    it returns, and is then cancelled, unless *cancellable* is true. Inside the function,
    `anyio.from_thread.check_cancelled` sees the cancellation, and `syncify` calls are cancelled by it.

    **Threads:** works on asyncio and trio, on several loops at once. The function runs on a daemonic thread with a copy
    of the awaiter's context variables. While it waits in a `syncify` call, its token of the default limiter is on loan
    to the `asyncify` calls of that coroutine, so nesting never starves; a limiter passed explicitly is never lent.

    Example:
        >>> import anyio
        >>> def double(x: int) -> int:
        ...     return 2 * x
        >>> anyio.run(asyncify(double), 21)
        42
    """
    if limiter is not None and not isinstance(limiter, CapacityLimiter):
        raise TypeError(f"asyncify() got limiter={limiter!r}; pass an anyio.CapacityLimiter, or None for the default one")
    if func is None:
        return lambda function: asyncify(function, cancellable=cancellable, limiter=limiter)
    if isinstance(func, (staticmethod, classmethod)):
        return type(func)(asyncify(func.__func__, cancellable=cancellable, limiter=limiter))
    reject_not_blocking(func)
    name = name_of(func)
    blocking: Callable[..., Any] = func

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        loop = running_asyncio_loop()
        if loop is None or not HAS_WORKER_THREADLOCALS:
            return await _call_through_anyio(blocking, args, kwargs, name, cancellable, limiter)
        of_loop = _of_loop
        if of_loop.loop() is not loop:
            _look_up(loop)
        task = asyncio.current_task()
        if current_effective_deadline() == -inf or (task is not None and task.cancelling()):
            await checkpoint()  # cancelled already: the function never starts
        call = ThreadCall(blocking, args, kwargs, name, limiter or of_loop.limiter, None if limiter else of_loop.limiter)
        del args, kwargs
        try:
            (limiter or of_loop.limiter).acquire_on_behalf_of_nowait(call)
            loan = None
        except anyio.WouldBlock:
            loan = await acquire(limiter or of_loop.limiter, call, lent=limiter is None)
        context = copy_context()
        forget_async_library(context)
        call.prepare(loop, of_loop.token_type(loop), of_loop.scope_type(), context, loan)
        del context
        try:
            _workers.start(call.work)
        except BaseException:
            call.release()
            raise
        try:
            await call.wait(cancellable)
            return call.take()
        finally:
            del call

    return dress(wrapper, blocking)


def _look_up(loop: asyncio.AbstractEventLoop) -> None:
    token = current_token()
    backend = token.backend_class
    _of_loop.limiter = to_thread.current_default_thread_limiter()
    _of_loop.scope_type = type(CancelScope())
    _of_loop.token_type = lambda native: type(token)(backend, native)
    _of_loop.loop = weakref.ref(loop)


async def _call_through_anyio(
    func: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    name: str,
    cancellable: bool,
    limiter: CapacityLimiter | None,
) -> Any:
    """On trio, and where our own threads cannot serve `anyio.from_thread`: AnyIO's threads, with a watch over the awaiter."""
    own = limiter or to_thread.current_default_thread_limiter()
    job = Job(None if limiter else own)
    outcome: list[Any] = []

    def work() -> None:
        current.job = job
        try:
            outcome.append((func(*args, **kwargs), None))
        except BaseException as error:  # noqa: BLE001 # it belongs to the awaiter
            if abandoned:
                _log(name, error)
            outcome.append((None, error))
        finally:
            current.job = None

    abandoned = False

    async def watch() -> None:
        nonlocal abandoned
        try:
            await anyio.sleep_forever()
        finally:
            if not outcome:
                abandoned = cancellable
                job.cancel()

    await checkpoint()
    loan = await acquire(own, job, lent=limiter is None)
    released = token = current_token()

    def release() -> None:
        if loan is not None:
            loan.give_back()
        else:
            own.release_on_behalf_of(job)

    def work_and_release() -> None:
        try:
            work()
        finally:
            try:
                native: Any = released.native_token
                native.run_sync_soon(release)
            except RuntimeError:
                release()

    del token
    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        try:
            await to_thread.run_sync(work_and_release, abandon_on_cancel=cancellable, limiter=CapacityLimiter(inf))
        finally:
            if outcome:
                group.cancel_scope.cancel()
    if not outcome:
        await checkpoint()
        raise BridgeCancelledError
    value, error = outcome.pop()
    if error is None:
        await anyio.lowlevel.checkpoint_if_cancelled()
        return value
    if isinstance(error, StopIteration):
        raise stop_iteration_error(name, error) from error
    context = error.__context__
    try:
        raise error
    finally:
        error.__context__ = context
        del error, context


def _log(name: str, error: BaseException) -> None:
    if not isinstance(error, BridgeCancelledError):
        logger.error("%s raised after its awaiter was cancelled", name, exc_info=error)

"""asyncify: a token, a worker thread, and a wait that keeps its promises under cancellation."""

from __future__ import annotations

import functools
import threading
import weakref
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from math import inf
from typing import Any, ParamSpec, Protocol, TypeVar, overload

from anyio import CancelScope, CapacityLimiter, to_thread
from anyio.lowlevel import checkpoint, current_token

from . import _workers
from ._anyio_internals import HAS_WORKER_THREADLOCALS, asyncio, import_asyncio_backend, running_asyncio_loop
from ._callables import dress, is_bare_method, name_of, reject_not_blocking
from ._delivery import Home
from ._registry import registry
from ._threadcall import Outbox, ThreadCall, cancels_of
from ._threadcall_anyio import call_through_anyio
from ._tokens import wait_for_token
from ._turnstile import take_free_token, turnstile_of

P = ParamSpec("P")
R = TypeVar("R")


class _AsyncifyDecorator(Protocol):
    def __call__(self, func: Callable[P, R], /) -> Callable[P, Coroutine[Any, Any, R]]: ...


class _OfLoop:
    """What AnyIO would look up at each call, for one loop, which it does not keep alive."""

    __slots__ = ("effective_deadline", "limiter", "loop", "outbox", "scope", "token", "unsettled")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        import_asyncio_backend()  # which `current_token` would do while another thread may fork
        token = current_token()
        self.loop = weakref.ref(loop)
        self.limiter = to_thread.current_default_thread_limiter()
        self.scope = type(CancelScope())
        self.token: Any = functools.partial(type(token), token.backend_class)
        self.outbox = Outbox(loop)
        self.unsettled: dict[ThreadCall, None] = {}
        """Those that were to be left when there were no frames to do it with (RecursionError)."""
        registry.when_used()
        self.effective_deadline = token.backend_class.current_effective_deadline

    def leave(self, call: ThreadCall, loop: asyncio.AbstractEventLoop) -> None:
        call.leave(loop)
        self.unsettled.pop(call, None)

    def settle(self, loop: asyncio.AbstractEventLoop) -> None:
        for call in list(self.unsettled):
            self.leave(call, loop)


class _OfThread(threading.local):
    loop: _OfLoop | None = None

    def __reduce__(self) -> str:  # by name, where a wrapper is pickled by value
        return "_of_thread"


_of_thread = _OfThread()
"""The loop that ran on this thread last."""


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
def asyncify(func: Any = None, *, cancellable: Any = False, limiter: Any = None) -> Any:
    """Make a blocking function awaitable: each await runs it once, on a worker thread.

    Args:
        func: the blocking function. Left out, a decorator is returned.
        cancellable: whether a cancelled awaiter leaves at once. The function runs on to its end all the same; its value is
            dropped, and an exception that it raises is logged.
        limiter: bounds how many functions that share it run at the same time; a token is held until the function
            returns. None stands for AnyIO's default thread limiter of the running loop (40 tokens unless changed).
            Loops in several threads, on asyncio and trio, may share one. Change its `total_tokens` on a loop that uses it:
            AnyIO's setter is not made for other threads, and wakes nobody there.

    Returns:
        A coroutine function with the parameters of *func*, its name, doc and signature. It returns what *func* returns
        and raises what it raises, as the same object (`StopIteration` becomes `RuntimeError`). What *func* returns is not
        awaited: the coroutine of a lambda that calls a coroutine function comes back as it is, and has not begun.

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
    if not isinstance(cancellable, bool):
        raise TypeError(f"asyncify() got cancellable={cancellable!r}; pass True or False")
    if func is None:
        return functools.partial(asyncify, cancellable=cancellable, limiter=limiter)
    if is_bare_method(func):
        return type(func)(asyncify(func.__func__, cancellable=cancellable, limiter=limiter))
    reject_not_blocking(func)
    name = name_of(func)
    blocking: Callable[..., Any] = func
    turnstile = None if limiter is None else turnstile_of(limiter)
    in_flight = registry.blocking

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        loop = running_asyncio_loop()
        if loop is None or not HAS_WORKER_THREADLOCALS:
            return await call_through_anyio(blocking, args, kwargs, name, cancellable, turnstile)
        of_loop = _of_thread.loop
        if of_loop is None or of_loop.loop() is not loop:
            of_loop = _of_thread.loop = _OfLoop(loop)
        if of_loop.unsettled:
            of_loop.settle(loop)
        cancels = cancels_of(asyncio.current_task(loop))
        if of_loop.effective_deadline() == -inf or cancels:
            await checkpoint()  # cancelled already: the function never starts
        call = ThreadCall(blocking, args, kwargs, name, limiter or of_loop.limiter, turnstile)
        del args, kwargs
        try:
            in_flight[call] = None
            if turnstile is None:
                if not take_free_token(of_loop.limiter, call):
                    call.loan = await wait_for_token(of_loop.limiter, call)
            elif not turnstile.try_acquire(call):
                await turnstile.acquire(call, Home(loop, loop.call_soon_threadsafe))
            call.prepare(loop, of_loop.token(loop), of_loop.scope(), copy_context(), of_loop.outbox)
            _workers.start(call)
        except BaseException:  # a cancellation; no thread could be started; or an interrupt, which may come anywhere
            of_loop.unsettled[call] = None
            of_loop.leave(call, loop)
            raise
        try:
            await call.wait(cancellable, cancels)
            return call.take()
        finally:
            del call

    return dress(wrapper, blocking)

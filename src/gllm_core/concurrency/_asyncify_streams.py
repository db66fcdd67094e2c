"""asyncify_iterator and asyncify_context: blocking streams and scopes, each on one worker thread."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from types import TracebackType
from typing import Any, ParamSpec, Protocol, TypeVar, overload

from anyio import CapacityLimiter

from ._callables import dress, is_bare_method, name_of, reject_not_blocking_source
from ._carrier_thread import CarrierThread, Step
from ._sources import END, Scope, Stream
from ._turnstile import Turnstile, turnstile_of

P = ParamSpec("P")
T = TypeVar("T")


class _AsyncifyIteratorDecorator(Protocol):
    def __call__(self, func: Callable[P, Iterable[T]], /) -> Callable[P, AsyncGenerator[T, None]]: ...


class _AsyncifyContextDecorator(Protocol):
    def __call__(self, func: Callable[P, AbstractContextManager[T]], /) -> Callable[P, AbstractAsyncContextManager[T]]: ...


class _Lease:
    """Held by the consumer. However it goes, also with a loop that is gone, the source is closed and the thread is free."""

    __slots__ = ("_carrier", "_source")

    def __init__(self, carrier: CarrierThread, source: Stream) -> None:
        self._carrier = carrier
        self._source = source

    def __del__(self) -> None:
        self._carrier.dismiss(self._source.close)


class _AsyncifiedContext(AbstractAsyncContextManager[Any, bool]):
    """What an asyncified context function returns: to be entered once."""

    _carrier: CarrierThread | None = None  # also where an interrupt keeps it from being made

    def __init__(self, name: str, scope: Scope, turnstile: Turnstile | None) -> None:
        self._name = name
        self._scope: Scope | None = scope
        self._turnstile = turnstile

    async def __aenter__(self) -> Any:
        scope = self._scope
        if scope is None or self._carrier is not None:
            raise RuntimeError(f"{self._name!r} was entered before; call it again for another context")
        carrier = self._carrier = CarrierThread(self._name, self._turnstile)
        try:
            await carrier.run(scope.enter)
            return carrier.take()
        except BaseException as error:
            if scope.entered:  # cancelled meanwhile
                scope.error = error
                await carrier.leave(scope.leave)
                carrier.value = None  # the cancellation is not the manager's to deal with
            else:  # perhaps it is being entered just now, if this is Ctrl-C
                carrier.dismiss(scope.leave_if_entered)
            raise

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None, /
    ) -> bool:
        scope, carrier = self._scope, self._carrier
        if scope is None or carrier is None:
            raise RuntimeError(f"{self._name!r} is not entered")
        self._scope = None
        scope.error = exc_value
        del exc_value, traceback
        try:
            await carrier.leave(scope.leave)
        except KeyboardInterrupt:  # it may have come before the thread was told
            carrier.dismiss(scope.leave_if_entered)
            raise
        return bool(carrier.take())

    def __del__(self) -> None:
        if self._carrier is not None:
            self._carrier.dismiss(None)  # nobody leaves the scope: it is dropped, as one that is not bridged would be


@overload
def asyncify_iterator(func: Callable[P, Iterable[T]]) -> Callable[P, AsyncGenerator[T, None]]: ...
@overload
def asyncify_iterator(
    func: Callable[P, Iterable[T]], *, limiter: CapacityLimiter | None
) -> Callable[P, AsyncGenerator[T, None]]: ...
@overload
def asyncify_iterator(func: None = None, *, limiter: CapacityLimiter | None = None) -> _AsyncifyIteratorDecorator: ...
def asyncify_iterator(func: Any = None, *, limiter: Any = None) -> Any:
    """Make a blocking stream asynchronous: one worker thread carries each stream from its beginning to its end.

    Args:
        func: the function that returns the blocking iterable: a generator function, or any other. Left out, a decorator is
            returned.
        limiter: bounds how many streams, and functions, that share it run at the same time; a stream holds a token from
            its first item until it is closed, and lends it to nobody: what the consumer asyncifies meanwhile needs another one.
            None stands for AnyIO's default thread limiter of the running loop.

    Returns:
        An async generator function with the parameters of *func*, its name, doc and signature. An item is produced when it
        is asked for, never before. An exception reaches the consumer as the same object; one thrown in with `athrow`
        reaches the source.

    Raises:
        TypeError: when wrapping, for what cannot work: a coroutine function, an async generator function, a non-callable;
            at the first item, for a result that is not iterable.
        RuntimeError: at the next item in a forked child, if the stream was begun in the parent.

    **Cancellation:** waiting for a token ends at once. While an item is produced, the consumer stays, as in an asyncified
    function: `check_cancelled` and `syncify` calls below see the cancellation. Then, and whenever the stream is left early,
    the source is closed on its thread, its `finally` blocks run, and thread and token are free. Closing is not cancelled by
    what came before it. Use `contextlib.aclosing` to close at once; a stream that is dropped is closed by the loop's hooks,
    or when its loop is gone, without them.

    **Threads:** works on asyncio and trio. Creation, every item and the end run on one daemonic thread, in one copy of
    the consumer's context.

    Example:
        >>> import anyio
        >>> @asyncify_iterator
        ... def count(to: int):
        ...     yield from range(to)
        >>> async def main():
        ...     return [item async for item in count(3)]
        >>> anyio.run(main)
        [0, 1, 2]
    """
    if limiter is not None and not isinstance(limiter, CapacityLimiter):
        raise TypeError(
            f"asyncify_iterator() got limiter={limiter!r}; pass an anyio.CapacityLimiter, or None for the default one"
        )
    if func is None:
        return functools.partial(asyncify_iterator, limiter=limiter)
    if is_bare_method(func):
        return type(func)(asyncify_iterator(func.__func__, limiter=limiter))
    reject_not_blocking_source("asyncify_iterator", func)
    name = name_of(func)
    blocking: Callable[..., Iterable[Any]] = func
    turnstile = None if limiter is None else turnstile_of(limiter)

    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        source = Stream(name, functools.partial(blocking, *args, **kwargs))
        del args, kwargs
        carrier = CarrierThread(name, turnstile)
        lease = _Lease(carrier, source)
        step: Step = source.begin
        try:
            while True:
                await carrier.run(step)
                step = source.next
                if carrier.value is END:
                    return
                try:
                    yield carrier.take()
                except GeneratorExit:
                    raise
                except BaseException as error:  # noqa: BLE001 # whatever it is, the source is to have it
                    source.error = error
                    step = source.throw
        finally:
            if not carrier.inherited:
                await carrier.leave(source.close)
            del lease

    return dress(wrapper, blocking)


@overload
def asyncify_context(func: Callable[P, AbstractContextManager[T]]) -> Callable[P, AbstractAsyncContextManager[T]]: ...
@overload
def asyncify_context(
    func: Callable[P, AbstractContextManager[T]], *, limiter: CapacityLimiter | None
) -> Callable[P, AbstractAsyncContextManager[T]]: ...
@overload
def asyncify_context(func: None = None, *, limiter: CapacityLimiter | None = None) -> _AsyncifyContextDecorator: ...
def asyncify_context(func: Any = None, *, limiter: Any = None) -> Any:
    """Make a blocking context manager asynchronous: one worker thread makes, enters and leaves it.

    Args:
        func: the function that returns the context manager, such as one under `contextlib.contextmanager`, or a class. Left
            out, a decorator is returned.
        limiter: bounds how many scopes, and functions, that share it run at the same time; a scope holds a token from enter
            to exit, and lends it to nobody: what the body asyncifies needs another one. None stands for AnyIO's default thread
            limiter of the running loop.

    Returns:
        A function with the parameters of *func*, its name, doc and signature, which returns an async context manager that
        can be entered once. An exception of the body reaches `__exit__`, whose verdict decides.

    Raises:
        TypeError: when wrapping, for what cannot work: a coroutine function, a generator function that is not decorated, a
            non-callable; when entering, for a result that is not a context manager.
        RuntimeError: when entering twice, or leaving in a forked child what was entered in the parent.

    **Cancellation:** waiting for a token ends at once. While it is entered or left, the awaiter stays, as in an asyncified
    function. What was entered when the cancellation came is left. A cancellation that came before the exit does not reach
    into it; a later one is raised when the exit is over.

    **Threads:** works on asyncio and trio. Creation, enter and exit run on one daemonic thread, in one copy of the
    awaiter's context; between them the thread waits.

    Example:
        >>> import anyio, contextlib
        >>> @asyncify_context
        ... @contextlib.contextmanager
        ... def borrowed(what: str):
        ...     yield what
        >>> async def main():
        ...     async with borrowed("a thread") as it:
        ...         return it
        >>> anyio.run(main)
        'a thread'
    """
    if limiter is not None and not isinstance(limiter, CapacityLimiter):
        raise TypeError(
            f"asyncify_context() got limiter={limiter!r}; pass an anyio.CapacityLimiter, or None for the default one"
        )
    if func is None:
        return functools.partial(asyncify_context, limiter=limiter)
    if is_bare_method(func):
        return type(func)(asyncify_context(func.__func__, limiter=limiter))
    reject_not_blocking_source("asyncify_context", func)
    name = name_of(func)
    blocking: Callable[..., Any] = func
    turnstile = None if limiter is None else turnstile_of(limiter)

    def wrapper(*args: Any, **kwargs: Any) -> AbstractAsyncContextManager[Any]:
        return _AsyncifiedContext(name, Scope(name, functools.partial(blocking, *args, **kwargs)), turnstile)

    return dress(wrapper, blocking)

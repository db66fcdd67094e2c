"""syncify_iterator and syncify_context: asynchronous streams and scopes, each in one task of a portal's loop."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterable, Callable, Generator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from types import TracebackType
from typing import Any, ParamSpec, Protocol, TypeVar, overload

from anyio.from_thread import BlockingPortal

from ._callables import dress, is_bare_method, name_of, reject_not_async_source
from ._carrier_task import AsyncStep, CarrierTask
from ._errors import PortalNotRunningError
from ._outcome import set_context
from ._portal import portals
from ._sources import END, AsyncScope, AsyncStream

P = ParamSpec("P")
T = TypeVar("T")


class _SyncifyIteratorDecorator(Protocol):
    def __call__(self, async_func: Callable[P, AsyncIterable[T]], /) -> Callable[P, Generator[T, None, None]]: ...


class _SyncifyContextDecorator(Protocol):
    def __call__(
        self, async_func: Callable[P, AbstractAsyncContextManager[T]], /
    ) -> Callable[P, AbstractContextManager[T]]: ...


class _SyncifiedContext(AbstractContextManager[Any, bool]):
    """What a syncified context function returns: to be entered once."""

    def __init__(self, name: str, scope: AsyncScope, portal: BlockingPortal | None) -> None:
        self._name = name
        self._scope: AsyncScope | None = scope
        self._portal = portal
        self._carrier: CarrierTask | None = None

    def __enter__(self) -> Any:
        scope = self._scope
        if scope is None or self._carrier is not None:
            raise RuntimeError(f"{self._name!r} was entered before; call it again for another context")
        self._carrier = CarrierTask(self._name, self._portal, scope)
        return self._carrier.ask(scope.enter)

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None, /
    ) -> bool:
        scope, carrier = self._scope, self._carrier
        if scope is None or carrier is None:
            raise RuntimeError(f"{self._name!r} is not entered")
        self._scope = None
        scope.error = exc_value
        del exc_value, traceback
        try:
            return bool(carrier.leave(scope.leave, scope=True))
        except BaseException as error:
            if scope.error is not None:  # it was over before, and never saw what the body raises
                set_context(error, scope.error)
            raise

    def __del__(self) -> None:
        if self._carrier is not None:
            self._carrier.dismiss(None)


@overload
def syncify_iterator(async_func: Callable[P, AsyncIterable[T]]) -> Callable[P, Generator[T, None, None]]: ...
@overload
def syncify_iterator(
    async_func: Callable[P, AsyncIterable[T]], *, portal: BlockingPortal | None
) -> Callable[P, Generator[T, None, None]]: ...
@overload
def syncify_iterator(async_func: None = None, *, portal: BlockingPortal | None = None) -> _SyncifyIteratorDecorator: ...
def syncify_iterator(async_func: Any = None, *, portal: Any = None) -> Any:
    """Make an asynchronous stream blocking: one task on a portal's loop carries each stream from its beginning to its end.

    Args:
        async_func: the function that returns the async iterable: an async generator function, or any other. Left out, a
            decorator is returned.
        portal: the AnyIO portal to run on; None stands for the default portal, see `get_default_portal`.

    Returns:
        A generator function with the parameters of *async_func*, its name, doc and signature. An item is produced when it
        is asked for, never before. An exception reaches the consumer as the same object; one thrown in with `throw` reaches
        the source.

    Raises:
        TypeError: when wrapping, for what cannot work: a coroutine function, a generator function, a non-callable; at the
            first item, for a result that is not an async iterable.
        PortalNotRunningError: at the next item, if the portal is not running, stops running, or belongs to a parent process.
        RuntimeError: at the next item, if it would wait for ever: asked for on the loop that carries the stream.
        concurrent.futures.CancelledError: if the source was cancelled while it produced.

    **Cancellation:** Ctrl-C while an item is produced cancels the source, waits until its `finally` blocks are done and raises
    `KeyboardInterrupt`. Below an asyncified function whose awaiter is cancelled, the source is cancelled too. Left early,
    by `close`, `break` or the garbage collector, the source is closed in its task, and the task ends. A portal that stops
    closes the source. What cancels it from inside between two items (a deadline, a child of a task group that fails) is
    raised at its `yield`, at once; what it gives or raises then comes with the next item.

    **Threads:** may be used from any thread, one after another. On the thread of a running loop it warns as `syncify` does.

    Example:
        >>> import anyio
        >>> @syncify_iterator
        ... async def count(to: int):
        ...     for number in range(to):
        ...         await anyio.sleep(0)
        ...         yield number
        >>> list(count(3))
        [0, 1, 2]
    """
    if portal is not None and not isinstance(portal, BlockingPortal):
        raise TypeError(
            f"syncify_iterator() got portal={portal!r}; pass an anyio.from_thread.BlockingPortal, or None for the default one"
        )
    if async_func is None:
        return functools.partial(syncify_iterator, portal=portal)
    if is_bare_method(async_func):
        return type(async_func)(syncify_iterator(async_func.__func__, portal=portal))
    reject_not_async_source("syncify_iterator", async_func)
    name = name_of(async_func)
    if portal is not None:
        portals.see(portal)
    func: Callable[..., AsyncIterable[Any]] = async_func
    not_running = PortalNotRunningError  # a generator may be closed when the interpreter has emptied our modules

    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, None, None]:
        source = AsyncStream(name, functools.partial(func, *args, **kwargs))
        del args, kwargs
        carrier = CarrierTask(name, portal, source)
        step: AsyncStep = source.begin
        try:
            while True:
                value = carrier.ask(step)
                step = source.next
                if value is END:
                    source.raise_unseen()
                    return
                try:
                    yield value
                except GeneratorExit:
                    raise
                except BaseException as error:  # noqa: BLE001 # whatever it is, the source is to have it
                    source.error = error
                    step = source.throw
                finally:
                    del value
        finally:
            if carrier.must_not_wait:
                carrier.dismiss(source.close)
            else:
                try:
                    carrier.leave(source.close)
                except not_running:
                    if carrier.refused_elsewhere:  # else the portal's end has closed the source
                        raise
                finally:
                    source.error = None  # one that never was thrown in: its traceback leads here

    return dress(wrapper, func)


@overload
def syncify_context(async_func: Callable[P, AbstractAsyncContextManager[T]]) -> Callable[P, AbstractContextManager[T]]: ...
@overload
def syncify_context(
    async_func: Callable[P, AbstractAsyncContextManager[T]], *, portal: BlockingPortal | None
) -> Callable[P, AbstractContextManager[T]]: ...
@overload
def syncify_context(async_func: None = None, *, portal: BlockingPortal | None = None) -> _SyncifyContextDecorator: ...
def syncify_context(async_func: Any = None, *, portal: Any = None) -> Any:
    """Make an async context manager blocking: one task on a portal's loop makes, enters and leaves it.

    Args:
        async_func: the function that returns the async context manager, such as one under `contextlib.asynccontextmanager`,
            or a class. Left out, a decorator is returned.
        portal: the AnyIO portal to run on; None stands for the default portal, see `get_default_portal`.

    Returns:
        A function with the parameters of *async_func*, its name, doc and signature, which returns a context manager that can
        be entered once. An exception of the body reaches `__aexit__`, whose verdict decides.

    Raises:
        TypeError: when wrapping, for what cannot work: a coroutine function, an async generator function that is not
            decorated, a non-callable; when entering, for a result that is not an async context manager.
        PortalNotRunningError: when entering or leaving, if the portal is not running any more. One that stops meanwhile
            leaves the context with this error.
        RuntimeError: when entering twice.
        concurrent.futures.CancelledError: if it was cancelled while it was entered or left.

    **Cancellation:** Ctrl-C while it is entered or left cancels that, waits for its end and raises `KeyboardInterrupt`. Below
    an asyncified function whose awaiter is cancelled, enter is cancelled too; an exit that begins after that is not. What
    cancels it from inside while the body runs (a deadline, a child of a task group that fails) leaves it at once, while the
    body goes on; what that raises is raised at the exit.

    **Threads:** may be used from any thread; cancel scopes and task groups inside behave, as one task does it all.

    Example:
        >>> import contextlib
        >>> @syncify_context
        ... @contextlib.asynccontextmanager
        ... async def borrowed(what: str):
        ...     yield what
        >>> with borrowed("a task") as it:
        ...     print(it)
        a task
    """
    if portal is not None and not isinstance(portal, BlockingPortal):
        raise TypeError(
            f"syncify_context() got portal={portal!r}; pass an anyio.from_thread.BlockingPortal, or None for the default one"
        )
    if async_func is None:
        return functools.partial(syncify_context, portal=portal)
    if is_bare_method(async_func):
        return type(async_func)(syncify_context(async_func.__func__, portal=portal))
    reject_not_async_source("syncify_context", async_func)
    name = name_of(async_func)
    if portal is not None:
        portals.see(portal)
    func: Callable[..., Any] = async_func

    def wrapper(*args: Any, **kwargs: Any) -> AbstractContextManager[Any]:
        return _SyncifiedContext(name, AsyncScope(name, functools.partial(func, *args, **kwargs)), portal)

    return dress(wrapper, func)

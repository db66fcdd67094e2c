"""What is carried across the bridge step by step: streams and scopes, each in one thread or one task from beginning to end."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable
from typing import Any

from ._anyio_internals import is_cancellation, is_native_cancellation
from ._outcome import raise_unchanged


class _End:
    def __reduce__(self) -> str:  # by name, where a wrapper is pickled by value
        return "END"


END: Any = _End()
"""What a step returns after which there is none. One that raises is the last one, too."""


class Stream:
    """A blocking stream, as `yield from` would run it: an error is thrown into it, and leaving early closes it, if it can."""

    __slots__ = ("_func", "_iterator", "_name", "_over", "error")

    def __init__(self, name: str, func: Callable[[], Iterable[Any]]) -> None:
        self._name = name
        self._func: Callable[[], Iterable[Any]] | None = func
        self._iterator: Any = None
        self._over = False
        self.error: Any = None

    def begin(self) -> Any:
        func, self._func = self._func, None
        assert func is not None
        iterable = func()
        try:
            self._iterator = iter(iterable)
        except TypeError:
            if hasattr(type(iterable), "__iter__"):
                raise
            remedy = "iterate over it directly with 'async for'" if hasattr(iterable, "__aiter__") else "use asyncify"
            kind = type(iterable).__qualname__
            raise TypeError(f"asyncify_iterator() needs an iterable from {self._name!r}, got {kind!r}; {remedy}") from None
        return self.next()

    def next(self) -> Any:
        self._over = True
        try:
            item = next(self._iterator)
        except StopIteration:
            return END
        except BaseException as error:
            if is_cancellation(error):  # which has ended a generator, and is no end of another source
                self._over = False
                self.close()
            raise
        self._over = False
        return item

    def throw(self) -> Any:
        """Throw `error` into it."""
        error, self.error = self.error, None
        throw = getattr(self._iterator, "throw", raise_unchanged)
        self._over = throw is not raise_unchanged
        try:
            item = throw(error)
        except StopIteration as end:
            if end is error:
                raise
            return END
        finally:
            del error
        self._over = False
        return item

    def close(self) -> None:
        self.error = None  # one that never was thrown in: its traceback leads here
        close = getattr(self._iterator, "close", None)
        if close is not None and not self._over:
            self._over = True
            close()


class AsyncStream:
    """An asynchronous stream, as `yield from` would run it, if it could: see `Stream`."""

    __slots__ = ("_ahead", "_func", "_iterator", "_name", "_over", "error")

    def __init__(self, name: str, func: Callable[[], AsyncIterable[Any]]) -> None:
        self._name = name
        self._func: Callable[[], AsyncIterable[Any]] | None = func
        self._iterator: Any = None
        self._over = False
        self._ahead: list[Any] = []
        self.error: Any = None

    async def begin(self) -> Any:
        func, self._func = self._func, None
        assert func is not None
        iterable = func()
        if not hasattr(type(iterable), "__aiter__"):
            remedy = "iterate over it directly with 'for'" if hasattr(iterable, "__iter__") else "use syncify"
            kind = type(iterable).__qualname__
            raise TypeError(f"syncify_iterator() needs an async iterable from {self._name!r}, got {kind!r}; {remedy}")
        self._iterator = aiter(iterable)
        del iterable
        return await self.next()

    async def next(self) -> Any:
        if self._ahead:
            return self._ahead.pop()
        self._over = True
        try:
            item = await anext(self._iterator)
        except StopAsyncIteration:
            return END
        except BaseException as error:
            self._over = not is_native_cancellation(error)  # which has ended a generator, and is no end of another source
            raise
        self._over = False
        return item

    async def throw(self) -> Any:
        """Throw `error` into it."""
        error, self.error = self.error, None
        self._ahead.clear()
        try:
            return await self._throw(error)
        finally:
            del error

    def raise_unseen(self) -> None:
        """Raise `error`, if the source was over before it could be thrown in."""
        error, self.error = self.error, None
        try:
            if error is not None:
                raise_unchanged(error)
        finally:
            del error

    async def cancelled(self, cause: BaseException) -> bool:
        """Throw *cause*, which came between two items, into it, as if its `yield` were an `await`: a scope of its own may have
        caused it, and deal with it. Returns whether it goes on; then it is one item ahead.
        """
        item = await self._throw(cause)
        if item is not END:
            self._ahead.append(item)
        return item is not END

    async def _throw(self, error: BaseException) -> Any:
        athrow = getattr(self._iterator, "athrow", None)
        try:
            if athrow is None:
                raise_unchanged(error)
            self._over = True
            item = await athrow(error)
        except StopAsyncIteration as end:
            if end is error:
                raise
            return END
        finally:
            del error
        self._over = False
        return item

    async def close(self) -> None:
        self.error = None  # as in a `Stream`
        aclose = getattr(self._iterator, "aclose", None)
        if aclose is not None and not self._over:
            self._over = True
            await aclose()

    async def abandon(self, cause: BaseException) -> bool:
        await self.close()
        return False


class Scope:
    """A blocking context manager, made, entered and left on one thread."""

    __slots__ = ("_exit", "_func", "_manager", "_name", "entered", "error")

    def __init__(self, name: str, func: Callable[[], Any]) -> None:
        self._name = name
        self._func: Callable[[], Any] | None = func
        self._manager: Any = None
        self._exit: Any = None
        self.entered = False
        self.error: BaseException | None = None

    def enter(self) -> Any:
        func, self._func = self._func, None
        assert func is not None
        manager = func()
        kind = _kind_of(manager)
        try:
            enter, self._exit = kind.__enter__, kind.__exit__
        except AttributeError:
            asynchronous = hasattr(kind, "__aenter__")
            remedy = "enter it directly with 'async with'" if asynchronous else "use asyncify"
            raise TypeError(
                f"asyncify_context() needs a context manager from {self._name!r}, got {kind.__qualname__!r}; {remedy}"
            ) from None
        value = enter(manager)
        self._manager = manager
        self.entered = True
        return value

    def leave(self) -> bool:
        """Leave it because of `error`. Returns its verdict: whether that is dealt with."""
        error, self.error = self.error, None
        manager, self._manager = self._manager, None
        self.entered = False
        if error is None:
            return bool(self._exit(manager, None, None, None))
        at = error.__traceback__
        try:
            raise_unchanged(error)
        except BaseException as handled:  # noqa: BLE001 # as below `with`: what the exit raises has it for its context
            _set_traceback(handled, at)
            return bool(self._exit(manager, type(handled), handled, at))
        finally:
            del error, at

    def leave_if_entered(self) -> None:
        if self.entered:
            self.leave()


class AsyncScope:
    """An asynchronous context manager, made, entered and left in one task."""

    __slots__ = ("_exit", "_func", "_manager", "_name", "entered", "error")

    def __init__(self, name: str, func: Callable[[], Any]) -> None:
        self._name = name
        self._func: Callable[[], Any] | None = func
        self._manager: Any = None
        self._exit: Any = None
        self.entered = False
        self.error: BaseException | None = None

    async def enter(self) -> Any:
        func, self._func = self._func, None
        assert func is not None
        manager = func()
        kind = _kind_of(manager)
        try:
            enter, self._exit = kind.__aenter__, kind.__aexit__
        except AttributeError:
            remedy = "enter it directly with 'with'" if hasattr(kind, "__enter__") else "use syncify"
            raise TypeError(
                f"syncify_context() needs an async context manager from {self._name!r}, got {kind.__qualname__!r}; {remedy}"
            ) from None
        value = await enter(manager)
        self._manager = manager
        self.entered = True
        return value

    async def leave(self) -> bool:
        """Leave it because of `error`. Returns its verdict: whether that is dealt with."""
        error, self.error = self.error, None
        manager, self._manager = self._manager, None
        self.entered = False
        if error is None:
            return bool(await self._exit(manager, None, None, None))
        at = error.__traceback__
        try:
            raise_unchanged(error)
        except BaseException as handled:  # noqa: BLE001 # as below `async with`: what the exit raises has it for its context
            _set_traceback(handled, at)
            return bool(await self._exit(manager, type(handled), handled, at))
        finally:
            del error, at

    async def cancelled(self, cause: BaseException) -> bool:
        """Never goes on: `abandon` leaves it."""
        raise_unchanged(cause)

    async def abandon(self, cause: BaseException) -> bool:
        """Leave it because of *cause*. Returns its verdict."""
        if not self.entered:
            return False
        self.error = cause
        del cause
        return await self.leave()


def _kind_of(manager: object) -> Any:
    """Where `with` looks for enter and exit."""
    return type(manager)


_set_traceback = BaseException.with_traceback
"""Of no error itself, which may have another one, or refuse it, as in a frozen dataclass."""

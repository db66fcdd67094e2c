"""What may be wrapped, and how a wrapper comes to look like what it wraps."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any, TypeVar, cast

_W = TypeVar("_W", bound=Callable[..., Any])


def name_of(func: object) -> str:
    """The name of *func* for messages and task names: its own, or that of what it wraps, or that of its type."""
    while isinstance(func, functools.partial):
        func = func.func
    name = getattr(func, "__qualname__", None) or getattr(func, "__name__", None)
    return name if isinstance(name, str) else type(func).__qualname__


def reject_not_blocking(func: object) -> None:
    """Raise TypeError, with the remedy, if *func* is not a callable that asyncify can run on a worker thread."""
    what = f"asyncify() got the {{}} {name_of(func)!r}; {{}}"
    if not callable(func):
        raise TypeError(f"asyncify() needs a callable, got {func!r}; pass the function itself, not the result of a call")
    if _is(inspect.iscoroutinefunction, func) or _is(_is_marked_coroutine_function, func):
        raise TypeError(what.format("coroutine function", "await it directly"))
    if _is(inspect.isasyncgenfunction, func):
        raise TypeError(what.format("async generator function", "iterate over it directly with 'async for'"))
    if _is(inspect.isgeneratorfunction, func):
        raise TypeError(what.format("generator function", "use asyncify_iterator, which bridges one item at a time"))


def reject_not_async(async_func: object) -> None:
    """Raise TypeError, with the remedy, if *async_func* can be seen not to return an awaitable."""
    what = f"syncify() got the {{}} {name_of(async_func)!r}; {{}}"
    if inspect.iscoroutine(async_func):
        async_func.close()  # else Python warns that it was never awaited, on top of our error
        raise TypeError(what.format("coroutine", "pass the function itself, without calling it"))
    if not callable(async_func):
        raise TypeError(
            f"syncify() needs an async callable, got {async_func!r}; pass the function itself, not the result of a call"
        )
    if _is(inspect.isasyncgenfunction, async_func):
        raise TypeError(what.format("async generator function", "use syncify_iterator, which bridges one item at a time"))
    if _is(inspect.isgeneratorfunction, async_func):
        raise TypeError(what.format("generator function", "it is not async: call it directly"))


def not_awaitable(name: str, result: object) -> TypeError:
    """The error for a syncified function that returned *result*, which cannot be awaited."""
    if inspect.isasyncgen(result):
        remedy = "use syncify_iterator, which bridges one item at a time"
    else:
        remedy = "call the function directly, or return an awaitable from it"
    return TypeError(f"syncify() needs an awaitable from {name!r}, got {type(result).__qualname__!r}; {remedy}")


def dress(wrapper: _W, func: Callable[..., Any]) -> _W:
    """Give *wrapper* the name, qualname, doc, module, signature and `__wrapped__` of *func*."""
    named: object = func
    while isinstance(named, functools.partial):
        named = named.func
    if isinstance(named, type) or not hasattr(named, "__name__"):
        # A class or a callable object: its attributes are not those of a function, so nothing is merged from __dict__.
        functools.update_wrapper(wrapper, func, updated=())
    else:
        functools.update_wrapper(wrapper, cast("Callable[..., Any]", named))
    wrapper.__name__ = getattr(named, "__name__", type(named).__name__)
    wrapper.__qualname__ = name_of(named)
    wrapper.__module__ = getattr(named, "__module__", None) or type(named).__module__
    wrapper.__wrapped__ = func  # type: ignore[attr-defined] # what functools.wraps sets, too
    return wrapper


def _is(predicate: Callable[[Any], bool], func: object) -> bool:
    """Whether *predicate* holds for the function that a call of *func* would run: through partials and `__call__`."""
    while isinstance(func, functools.partial):
        func = func.func
    return predicate(func) or (not isinstance(func, type) and predicate(getattr(type(func), "__call__", None)))  # noqa: B004 # the method itself is wanted


def _is_marked_coroutine_function(func: object) -> bool:
    # Before 3.12 only asyncio knows of objects that are marked as coroutine functions (mocks, Cython); it is
    # deprecated from 3.14 on, where inspect knows them all.
    if sys.version_info >= (3, 12):
        return False
    import asyncio

    return asyncio.iscoroutinefunction(func)

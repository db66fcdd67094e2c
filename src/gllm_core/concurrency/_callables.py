"""What may be wrapped, and how a wrapper comes to look like what it wraps."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from contextlib import AsyncContextDecorator, ContextDecorator
from types import CodeType, FunctionType, MethodType
from typing import Any, TypeVar, cast

_COROUTINE_MARKS = ("_is_coroutine_mark", "_is_coroutine")
"""How inspect and asyncio mark a function that is to be taken for a coroutine function."""

_DECORATORS = (ContextDecorator.__call__, AsyncContextDecorator.__call__)

_W = TypeVar("_W", bound=Callable[..., Any])


def name_of(func: object) -> str:
    """The name of *func* for messages and task names: its own, or that of what it wraps, or that of its type."""
    while isinstance(func, functools.partial):
        func = func.func
    name = getattr(func, "__qualname__", None) or getattr(func, "__name__", None)
    return name if isinstance(name, str) else type(func).__qualname__


def is_bare_method(func: object) -> bool:
    """Whether *func* is a `staticmethod` or `classmethod` object, as in a class body below the decorator. It stays one."""
    return isinstance(func, (staticmethod, classmethod))


def reject_not_blocking(func: object) -> None:
    """Raise TypeError, with the remedy, if *func* is not a callable that asyncify can run on a worker thread."""
    what = f"asyncify() got the {{}} {name_of(func)!r}; {{}}"
    if not callable(func):
        raise TypeError(f"asyncify() needs a callable, got {func!r}; pass the function itself, not the result of a call")
    if _is_coroutine_function(func):
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
    if _is(inspect.isgeneratorfunction, async_func) and not _is_coroutine_function(async_func):
        raise TypeError(what.format("generator function", "it is not async: call it directly"))


def reject_syncified(async_func: object, code: CodeType) -> None:
    """Raise TypeError if a call of *async_func* would run *code*, which all of syncify's wrappers have.

    A mark among their attributes would go on to whatever is made to look like them.
    """

    def is_a_wrapper(func: object) -> bool:
        if isinstance(func, MethodType):
            func = func.__func__
        return isinstance(func, FunctionType) and func.__code__ == code

    if _is(is_a_wrapper, async_func):
        raise TypeError(f"syncify() got {name_of(async_func)!r}, which is syncified already; call it directly")


def reject_not_blocking_source(caller: str, func: object) -> None:
    """Raise TypeError, with the remedy, if *func* cannot give *caller* a blocking stream, or a blocking scope."""
    scope = caller == "asyncify_context"
    what = f"{caller}() got the {{}} {name_of(func)!r}; {{}}"
    _reject_made_scope(caller, func)
    if not callable(func):
        raise TypeError(f"{caller}() needs a callable, got {func!r}; pass the function itself, not the result of a call")
    if _is_coroutine_function(func):
        raise TypeError(what.format("coroutine function", "await it directly"))
    if _is(inspect.isasyncgenfunction, func):
        remedy = "decorate it with contextlib.asynccontextmanager" if scope else "iterate over it directly with 'async for'"
        raise TypeError(what.format("async generator function", remedy))
    if scope and _is(inspect.isgeneratorfunction, func):
        raise TypeError(what.format("generator function", "decorate it with contextlib.contextmanager first"))


def reject_not_async_source(caller: str, async_func: object) -> None:
    """Raise TypeError, with the remedy, if *async_func* cannot give *caller* an asynchronous stream, or such a scope."""
    scope = caller == "syncify_context"
    what = f"{caller}() got the {{}} {name_of(async_func)!r}; {{}}"
    _reject_made_scope(caller, async_func)
    if inspect.iscoroutine(async_func):
        async_func.close()  # else Python warns that it was never awaited, on top of our error
        raise TypeError(what.format("coroutine", "pass the function itself, without calling it"))
    if not callable(async_func):
        raise TypeError(
            f"{caller}() needs an async callable, got {async_func!r}; pass the function itself, not the result of a call"
        )
    if _is_coroutine_function(async_func):
        raise TypeError(what.format("coroutine function", "use syncify"))
    if _is(inspect.isgeneratorfunction, async_func):
        remedy = "decorate it with contextlib.contextmanager" if scope else "iterate over it directly with 'for'"
        raise TypeError(what.format("generator function", f"it is not async: {remedy}"))
    if scope and _is(inspect.isasyncgenfunction, async_func):
        raise TypeError(what.format("async generator function", "decorate it with contextlib.asynccontextmanager first"))


def _reject_made_scope(caller: str, func: object) -> None:
    # What a contextlib-decorated function returns is callable, too: as a decorator, not as a function that makes a scope.
    if getattr(type(func), "__call__", None) in _DECORATORS:  # noqa: B004 # the method itself is wanted
        raise TypeError(f"{caller}() got a context manager; pass the function itself, without calling it")


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
    model: Any = func
    if not isinstance(getattr(named, "__name__", ""), str):  # a proxy, which answers every question with another one
        named = model = type(named)
    if isinstance(named, type) or not hasattr(named, "__name__"):
        # A class or a callable object: its attributes are not those of a function, so nothing is merged from __dict__.
        functools.update_wrapper(wrapper, model, updated=())
    else:
        functools.update_wrapper(wrapper, cast("Callable[..., Any]", named))
    wrapper.__name__ = getattr(named, "__name__", type(named).__name__)
    wrapper.__qualname__ = name_of(named)
    wrapper.__module__ = getattr(named, "__module__", None) or type(named).__module__
    for mark in _COROUTINE_MARKS:
        vars(wrapper).pop(mark, None)  # syncify's wrapper is none, and asyncify's does not need it
    if not isinstance(func, FunctionType):
        # That of the function inside: a partial has fewer parameters, and so has a bound method.
        vars(wrapper).pop("__signature__", None)
    wrapper.__wrapped__ = func  # type: ignore[attr-defined] # what functools.wraps sets, too
    return wrapper


def _is(predicate: Callable[[Any], bool], func: object) -> bool:
    """Whether *predicate* holds for the function that a call of *func* would run: through partials and `__call__`."""
    while isinstance(func, functools.partial):
        func = func.func
    return predicate(func) or (not isinstance(func, type) and predicate(getattr(type(func), "__call__", None)))  # noqa: B004 # the method itself is wanted


def _is_coroutine_function(func: object) -> bool:
    kinds = (inspect.iscoroutinefunction, _is_marked_coroutine_function, _is_generator_based_coroutine_function)
    return any(_is(kind, func) for kind in kinds)


def _is_generator_based_coroutine_function(func: object) -> bool:
    """Whether it is what `types.coroutine` makes of a generator function, and still one to `inspect`."""
    code = getattr(func.__func__ if isinstance(func, MethodType) else func, "__code__", None)
    return isinstance(code, CodeType) and bool(code.co_flags & inspect.CO_ITERABLE_COROUTINE)


def _is_marked_coroutine_function(func: object) -> bool:
    # Up to 3.13 only asyncio knows of some objects that are marked as coroutine functions (mocks, Cython); from 3.14 on its
    # function is deprecated, and inspect knows them all.
    asyncio = sys.modules.get("asyncio") if sys.version_info < (3, 14) else None
    is_marked: Callable[[object], bool] | None = getattr(asyncio, "iscoroutinefunction", None)
    return is_marked is not None and is_marked(func)

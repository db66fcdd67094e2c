"""block: a context manager that decorates coroutine functions, too.

The standard library's decorates whatever is callable, and of a coroutine function that is the making of the coroutine alone:
the block would be over before the first line ran, and a check of nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from functools import partial, wraps
from types import TracebackType
from typing import Any, Generic, ParamSpec, TypeVar, cast

P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class Block(AbstractContextManager[T, "bool | None"], Generic[T]):
    """A context manager for one `with`; as a decorator of a function, plain or async, each call is a block of its own."""

    def __init__(self, name: str, begin: Callable[[], AbstractContextManager[T, bool | None]]) -> None:
        self._name = name
        self._begin = begin
        self._manager = begin()  # at once: arguments that do not fit are an error where they are given
        self._is_entered = False

    def __enter__(self) -> T:
        if self._is_entered:
            raise RuntimeError(f"what {self._name}() gave has had its block; call {self._name}() anew for each `with`")
        self._is_entered = True
        return self._manager.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> bool | None:
        return self._manager.__exit__(kind, error, traceback)

    def __call__(self, func: F) -> F:
        if inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
            raise TypeError(
                f"{self._name}() got {func!r}, whose body runs in parts, when somebody asks for them: "
                f"use `with {self._name}(...)` around what asks"
            )
        begin = self._begin

        @wraps(func)
        async def run_async(*args: Any, **kwargs: Any) -> Any:
            with begin():
                return await func(*args, **kwargs)

        @wraps(func)
        def run(*args: Any, **kwargs: Any) -> Any:
            with begin():
                return func(*args, **kwargs)

        return cast(F, run_async if inspect.iscoroutinefunction(func) else run)


def block(make: Callable[P, Generator[T]]) -> Callable[P, Block[T]]:
    """As `contextlib.contextmanager` does, with a `Block`."""
    manager = contextmanager(make)

    @wraps(make)
    def begin(*args: P.args, **kwargs: P.kwargs) -> Block[T]:
        return Block(make.__name__, partial(manager, *args, **kwargs))

    return begin

"""Generic functions, a TypeVarTuple, a ParamSpec of the user's own."""

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any, ParamSpec, TypeVar, TypeVarTuple, assert_type

from gllm_core.concurrency import asyncify, syncify

P = ParamSpec("P")
T = TypeVar("T")
K = TypeVar("K")
Ts = TypeVarTuple("Ts")
Number = TypeVar("Number", int, float)
Text = TypeVar("Text", bound=str)


class Name(str): ...


def identity(x: T) -> T: ...
def first(items: Sequence[T], default: T | None = None) -> T: ...
def pairs(keys: Iterable[K], values: Iterable[T]) -> dict[K, T]: ...
def double(x: Number) -> Number: ...
def upper(text: Text) -> Text: ...
def apply(func: Callable[[*Ts], T], *args: *Ts) -> T: ...
def tupled(*args: *Ts) -> tuple[*Ts]: ...
def add(a: int, b: str) -> float: ...


async def awaited_generics() -> None:
    assert_type(await asyncify(identity)("x"), str)
    assert_type(await asyncify(identity)(b"x"), bytes)
    assert_type(await asyncify(first)([1, 2]), int)
    assert_type(await asyncify(first)(["a"], default="b"), str)
    assert_type(await asyncify(pairs)(["a"], [1]), dict[str, int])
    assert_type(await asyncify(double)(1), int)
    assert_type(await asyncify(double)(1.0), float)
    assert_type(await asyncify(upper)(Name()), Name)
    assert_type(await asyncify(apply)(add, 1, "x"), float)
    assert_type(await asyncify(tupled)(1, "x"), tuple[int, str])


async def async_identity(x: T) -> T: ...
async def async_first(items: Sequence[T], default: T | None = None) -> T: ...
async def async_apply(func: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T: ...
async def async_add(a: int, b: str) -> float: ...


def blocking_generics() -> None:
    assert_type(syncify(async_identity)("x"), str)
    assert_type(syncify(async_first)([1, 2]), int)
    assert_type(syncify(async_apply)(async_add, 1, "x"), float)


async def with_options() -> None:
    assert_type(await asyncify(identity, cancellable=True)("x"), str)
    assert_type(await asyncify(first, limiter=None)([1, 2]), int)
    assert_type(syncify(async_identity, portal=None)("x"), str)


def logged(func: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    return assert_type(asyncify(func), Callable[P, Coroutine[Any, Any, T]])


def logged_with_options(func: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    return assert_type(asyncify(func, cancellable=True), Callable[P, Coroutine[Any, Any, T]])


def blocked(func: Callable[P, Awaitable[T]]) -> Callable[P, T]:
    return assert_type(syncify(func), Callable[P, T])


async def through_a_decorator() -> None:
    assert_type(await logged(add)(1, b="x"), float)
    assert_type(await logged_with_options(add)(1, b="x"), float)
    assert_type(blocked(async_add)(1, b="x"), float)


@asyncify
def decorated_first(items: Sequence[T]) -> T: ...


@syncify
async def decorated_async_first(items: Sequence[T]) -> T: ...


async def decorated_generics() -> None:
    assert_type(await decorated_first(["a"]), str)
    assert_type(decorated_async_first([1]), int)

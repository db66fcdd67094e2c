"""Known gaps of one checker or another. A mark names who reports the line; a checker that learns it fails this test."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, ParamSpec, Protocol, TypeVar, assert_type, overload

from gllm_core.concurrency import asyncify, get_default_portal, syncify

P = ParamSpec("P")
T = TypeVar("T")


def work(x: int, /) -> str: ...
def add(a: int, b: str) -> float: ...
async def async_add(a: int, b: str) -> float: ...
def call(func: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T: ...


@overload
def load(key: int) -> int: ...
@overload
def load(key: str) -> str: ...
def load(key: int | str) -> int | str: ...


@overload
async def async_load(key: int) -> int: ...
@overload
async def async_load(key: str) -> str: ...
async def async_load(key: int | str) -> int | str: ...


async def overloads_beside_an_option() -> None:
    assert_type(await asyncify(load, cancellable=True)(1), int)
    assert_type(await asyncify(load, cancellable=True)("k"), str)  # E[mypy]
    assert_type(await asyncify(load, limiter=None)("k"), str)  # E[mypy]
    assert_type(await asyncify(cancellable=True)(load)("k"), str)
    assert_type(syncify(async_load, portal=None)("k"), str)  # E[mypy]
    assert_type(syncify(asyncio.sleep)(0.1, "done"), str)  # E[pyrefly]


async def a_paramspec_of_a_paramspec() -> None:
    assert_type(await asyncify(call)(add, 1, "x"), float)  # E[pyrefly]
    assert_type(await asyncify(call)(add, a=1, b="x"), float)  # E[pyrefly]
    await asyncify(call)(add, "x", 1)  # E


async def any_makes_overloads_ambiguous() -> None:
    # mypy treats the Any of an annotated Coroutine[Any, Any, R] unlike that of an async function.
    both = await asyncio.gather(asyncify(add)(1, "x"), asyncify(work)(1))
    assert_type(both, tuple[float, str])  # E[mypy]
    assert_type(get_default_portal().call(asyncify(work), 1), str)  # E[mypy]


class Getter(Protocol):
    async def get(self, x: int) -> str: ...


class Abstract(ABC):
    @abstractmethod
    async def get(self, x: int) -> str: ...


class Wrapped:
    @asyncify
    def get(self, x: int) -> str: ...


class Concrete(Abstract):
    @asyncify
    def get(self, x: int) -> str: ...  # E[pyright]


def through_a_protocol(getter: Getter) -> bytes: ...


# Write `def get(self, x: int) -> Coroutine[Any, Any, str]` in bases and protocols.
assert_type(through_a_protocol(Wrapped()), bytes)  # E[pyright]


async def arguments_of_partials() -> None:
    # mypy checks a partial where it is made, and forgets its parameters where P is solved for it.
    await asyncify(partial(add, 1))("x", "y")  # E[pyright,pyrefly]
    await asyncify(partial(add, 1))(2)  # E[pyright,pyrefly]
    syncify(partial(async_add, 1))(2)  # E[pyright,pyrefly]


async def the_literal_of_an_option(flag: Literal[True], untyped: Any) -> None:
    assert_type(await asyncify(work, cancellable=flag)(1), str)
    assert_type(await asyncify(work, cancellable=untyped)(1), str)
    assert_type(await asyncify(work, limiter=untyped)(1), str)
    assert_type(await asyncify(work, **untyped)(1), str)

"""What no signature can reject soundly, so that it is refused when wrapping, or when calling, instead."""

from collections.abc import Callable, Coroutine, Iterator
from typing import Any, assert_type

from gllm_core.concurrency import asyncify, syncify


async def async_work(x: int, /) -> str: ...
def numbers(x: int, /) -> Iterator[int]:
    yield x


def awaitable(x: int, /) -> Coroutine[Any, Any, str]: ...


# An overload for async functions would also capture functions of type Any, NoReturn or a bare T: run time says TypeError.
asyncify(async_work)
asyncify(async_work, cancellable=True)
asyncify(numbers)


@asyncify
async def decorated(x: int, /) -> str: ...


# pyright alone knows the coroutine of an async function as a CoroutineType.
assert_type(asyncify(async_work), Callable[[int], Coroutine[Any, Any, Coroutine[Any, Any, str]]])  # E[pyright]
assert_type(asyncify(awaitable), Callable[[int], Coroutine[Any, Any, Coroutine[Any, Any, str]]])


async def awaited_once(untyped: Any) -> None:
    await assert_type(await asyncify(awaitable)(1), Coroutine[Any, Any, str])
    # Overloads are ambiguous for an argument of type Any: the result is Any, not a Callable.
    assert_type(asyncify(untyped), Callable[..., Coroutine[Any, Any, Any]])  # E
    assert_type(syncify(untyped), Callable[..., Any])  # E[mypy,pyrefly]

"""Callables that are no functions, and do not look like any."""

from __future__ import annotations

import types
from collections.abc import Generator
from typing import Any
from unittest.mock import create_autospec

import pytest

from gllm_core.concurrency import asyncify, asyncify_iterator, syncify

pytestmark = pytest.mark.anyio


class Remote:
    """A method of a server elsewhere, as `xmlrpc.client` makes them: whatever is asked of it is one more of its kind."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Remote:
        return Remote(f"{self._name}.{name}")

    def __call__(self, *args: int) -> tuple[Any, ...]:
        return (self._name, *args)


async def test_a_remote_method_is_a_callable_like_any_other() -> None:
    """What answers every question about itself with an object is wrapped, and named after its type. proves: A1, A2"""
    wrapped = asyncify(Remote("server").add)
    assert await wrapped(1, 2) == ("server.add", 1, 2)
    assert (wrapped.__name__, wrapped.__qualname__, wrapped.__module__) == ("Remote", "Remote", __name__)
    stream = asyncify_iterator(Remote("server").list)
    assert [item async for item in stream(1)] == ["server.list", 1]


@types.coroutine
def generator_based() -> Generator[Any, None, str]:
    """A coroutine function of the older kind, of which low-level async code is still made."""
    yield from ()
    return "value"


def test_a_generator_based_coroutine_is_awaitable() -> None:
    """What `types.coroutine` makes of a generator function is awaited like any other coroutine. proves: S10"""
    assert syncify(generator_based)() == "value"


@pytest.mark.parametrize("wrap", [asyncify, asyncify_iterator])
def test_a_generator_based_coroutine_function_is_refused_as_one(wrap: Any) -> None:
    """The remedy is that of a coroutine function, not that of a generator function. proves: A9"""
    with pytest.raises(TypeError, match=r"coroutine function .*generator_based'; await it directly"):
        wrap(generator_based)


async def fetch() -> int:
    return 7


@pytest.mark.parametrize("wrap", [asyncify, asyncify_iterator])
def test_a_mock_of_a_coroutine_function_is_refused_as_one(wrap: Any) -> None:
    """What unittest makes in the place of a coroutine function is one, on every Python. proves: A9"""
    with pytest.raises(TypeError, match=r"coroutine function 'fetch'; await it directly"):
        wrap(create_autospec(fetch))

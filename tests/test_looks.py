"""What a wrapper looks like, where the function inside says itself what its signature is."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from gllm_core.concurrency import asyncify, asyncify_context, asyncify_iterator, syncify, syncify_context, syncify_iterator

WRAPS = [asyncify, asyncify_iterator, asyncify_context, syncify, syncify_iterator, syncify_context]


def two(*args: object) -> tuple[object, ...]:
    return args


def method(self: object, first: object) -> tuple[object, ...]:
    return (self, first)


def with_signature(func: Any) -> Any:
    """As decorators and frameworks do that change what a function takes."""
    func.__signature__ = inspect.Signature(
        [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in ("first", "second")]
    )
    return func


class Owner:
    method = with_signature(method)


@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize(
    ("func", "parameters"),
    [
        (with_signature(two), ["first", "second"]),
        (functools.partial(with_signature(two), 1), ["second"]),
        (Owner().method, ["second"]),
    ],
    ids=["function", "partial", "bound method"],
)
def test_a_wrapper_takes_what_its_function_says(wrap: Any, func: Callable[..., Any], parameters: list[str]) -> None:
    """A signature that a function says itself is that of the function, not of what it is bound into. proves: A1"""
    assert list(inspect.signature(func).parameters) == parameters
    assert inspect.signature(wrap(func)) == inspect.signature(func)

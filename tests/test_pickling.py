"""Wrappers that are pickled by value, as cloudpickle does it with functions of a script or of a notebook (dask, Ray, Spark).

It pickles the code with whatever that refers to. tests/ecosystem does it for real, on a dask cluster.
"""

from __future__ import annotations

import inspect
import pickle
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import FunctionType, ModuleType
from typing import Any

import pytest
from anyio import CapacityLimiter

from gllm_core.concurrency import (
    asyncify,
    asyncify_context,
    asyncify_iterator,
    syncify,
    syncify_context,
    syncify_iterator,
)


async def one() -> int:
    return 1


async def items() -> AsyncIterator[int]:
    yield 1


@contextmanager
def scope() -> Iterator[int]:
    yield 1


@asynccontextmanager
async def async_scope() -> AsyncIterator[int]:
    yield 1


WRAPPERS: list[Callable[..., Any]] = [
    syncify(one),
    asyncify(len),
    syncify_iterator(items),
    asyncify_iterator(range),
    syncify_context(async_scope),
    asyncify_context(scope),
]


@pytest.mark.parametrize("wrapper", WRAPPERS, ids=lambda wrapper: wrapper.__name__)
def test_what_a_wrapper_refers_to_is_pickled_by_name(wrapper: FunctionType) -> None:
    """Nothing of this process goes along: all that is ours is found again by its name, as what it is in that process."""
    variables = inspect.getclosurevars(wrapper)
    values = {**variables.globals, **variables.nonlocals}
    assert len(values) > 3
    for name, value in values.items():
        if not isinstance(value, ModuleType):  # cloudpickle has those by name; pickle does not know them
            again = pickle.loads(pickle.dumps(value))
            assert again is value or (isinstance(value, str | float) and again == value), name


@pytest.mark.parametrize("wrap", [asyncify, asyncify_iterator, asyncify_context], ids=lambda wrap: wrap.__name__)
def test_a_limiter_stays_in_its_process(wrap: Callable[..., Any]) -> None:
    """A wrapper with a limiter of its own is not pickled: each process would count for itself. The error says what helps."""
    values = inspect.getclosurevars(wrap(range, limiter=CapacityLimiter(1))).nonlocals
    with pytest.raises(TypeError, match="cannot be pickled: limiters are of one process; wrap the function where it runs"):
        pickle.dumps(values["turnstile"])

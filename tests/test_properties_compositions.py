"""Properties: layers of asyncify and syncify, however many and with whatever options, add up to the plain call."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import anyio
import pytest
from anyio import CapacityLimiter
from anyio.from_thread import BlockingPortal, start_blocking_portal
from anyio.lowlevel import checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st

from gllm_core.concurrency import asyncify, get_default_portal, syncify
from outcomes import outcome_of, outcome_of_awaiting

MAX_DEPTH = 6
where: ContextVar[object] = ContextVar("where")


@dataclass(frozen=True)
class Layer:
    """The options of one layer; which of them count depends on the layer's direction."""

    cancellable: bool
    tokens: float | None
    portal: str | None


@dataclass(frozen=True)
class Base:
    """The innermost function: synchronous or not, ending with this value or this exception."""

    is_async: bool
    outcome: Any
    raises: bool


layers = st.builds(
    Layer,
    cancellable=st.booleans(),
    tokens=st.sampled_from([None, None, 1, 3, math.inf]),
    portal=st.sampled_from([None, None, "asyncio", "trio", "default"]),
)
kinds = st.sampled_from([ValueError, StopAsyncIteration, StopIteration, SystemExit, KeyboardInterrupt, TimeoutError])
bases = st.builds(Base, st.booleans(), st.builds(object), st.just(False)) | st.builds(
    Base, st.booleans(), kinds.map(lambda kind: kind("from the bottom")), st.just(True)
)


@pytest.fixture(scope="module")
def portals() -> Iterator[dict[str, BlockingPortal]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(start_blocking_portal(name)) for name in ("asyncio", "trio")}


def build(base: Base, seen: list[tuple[Any, ...]]) -> Callable[..., Any]:
    def finish(*arguments: Any) -> Any:
        seen.append((*arguments, where.get(), threading.get_ident()))
        if base.raises:
            raise base.outcome
        return base.outcome

    async def innermost_coroutine(argument: object, *, keyword: object) -> Any:
        await checkpoint()
        return finish(argument, keyword)

    def innermost_function(argument: object, *, keyword: object) -> Any:
        return finish(argument, keyword)

    return innermost_coroutine if base.is_async else innermost_function


def wrap(function: Callable[..., Any], is_async: bool, layer: Layer, portals: dict[str, BlockingPortal]) -> Callable[..., Any]:
    if not is_async:
        limiter = None if layer.tokens is None else CapacityLimiter(layer.tokens)
        return asyncify(function, cancellable=layer.cancellable, limiter=limiter)
    if layer.portal == "default":
        return syncify(function, portal=get_default_portal())
    return syncify(function, portal=portals[layer.portal] if layer.portal else None)


@settings(deadline=None, max_examples=150)
@given(
    base=bases,
    stack=st.lists(layers, min_size=1, max_size=MAX_DEPTH),
    backend=st.sampled_from(["asyncio", "trio"]),
    arguments=st.tuples(st.builds(object), st.builds(object), st.builds(object)),
)
def test_a_composition_is_the_plain_call(
    portals: dict[str, BlockingPortal], base: Base, stack: list[Layer], backend: str, arguments: tuple[object, object, object]
) -> None:
    """Up to six layers pass arguments, context, value and exception through unchanged. proves: A2, A8, S1, S2, S3, S5"""
    seen: list[tuple[Any, ...]] = []
    function, is_async = build(base, seen), base.is_async
    for layer in stack:
        function, is_async = wrap(function, is_async, layer, portals), not is_async
    argument, keyword, context = arguments
    reset = where.set(context)
    try:
        if is_async:
            kind, got = anyio.run(outcome_of_awaiting, lambda: function(argument, keyword=keyword), backend=backend)
        else:
            kind, got = outcome_of(lambda: function(argument, keyword=keyword))
    finally:
        where.reset(reset)
    assert len(seen) == 1
    assert seen[0][:3] == (argument, keyword, context)
    assert seen[0][3] != threading.get_ident()  # the innermost layer always hops to another thread
    if base.raises and isinstance(base.outcome, StopIteration):
        assert kind == "error"
        assert type(got) is RuntimeError
        assert got.__cause__ is base.outcome
    else:
        assert (kind, got) == ("error" if base.raises else "value", base.outcome)
        assert got is base.outcome

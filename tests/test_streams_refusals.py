"""Streams and scopes: what is refused, when, and with what remedy; and the ways to decorate."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager, nullcontext
from typing import Any

import anyio
import pytest
from anyio import CapacityLimiter, to_thread
from anyio.from_thread import start_blocking_portal
from anyio.lowlevel import checkpoint

from deaths import Deaths
from gllm_core.concurrency import (
    PortalNotRunningError,
    asyncify_context,
    asyncify_iterator,
    syncify,
    syncify_context,
    syncify_iterator,
)
from handshakes import WAIT_S, all_tokens_come_back
from outcomes import outcome_of, outcome_of_awaiting


class Thing:
    """A value: it can be referred to weakly."""


class Blocking:
    """Enters with `with` only."""

    def __enter__(self) -> int:
        raise AssertionError("it must not be entered")

    def __exit__(self, *exc_info: object) -> None:
        raise AssertionError("it was not entered")


class Asynchronous:
    """Enters with `async with` only."""

    async def __aenter__(self) -> int:
        raise AssertionError("it must not be entered")

    async def __aexit__(self, *exc_info: object) -> None:
        raise AssertionError("it was not entered")


NO_BLOCKING_SCOPES = [
    (Asynchronous, "got 'Asynchronous'; enter it directly with 'async with'"),
    (lambda: 7, "got 'int'; use asyncify"),
]
NO_ASYNC_SCOPES = [
    (Blocking, "got 'Blocking'; enter it directly with 'with'"),
    (lambda: 7, "got 'int'; use syncify"),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("make", "remedy"), NO_BLOCKING_SCOPES)
async def test_a_result_that_is_no_context_manager_is_refused(make: Any, remedy: str) -> None:
    """Entering what is no context manager names function, type and remedy, and frees the thread. proves: I4, A9"""
    limiter = CapacityLimiter(1)
    context = asyncify_context(make, limiter=limiter)()
    kind, error = await outcome_of_awaiting(context.__aenter__)
    assert (kind, type(error), error.__cause__, error.__suppress_context__) == ("error", TypeError, None, True)
    assert str(error) == f"asyncify_context() needs a context manager from {make.__qualname__!r}, {remedy}"
    await all_tokens_come_back(limiter)


@pytest.mark.parametrize(("make", "remedy"), NO_ASYNC_SCOPES)
def test_a_result_that_is_no_async_context_manager_is_refused(make: Any, remedy: str) -> None:
    """Entering what is no async context manager names function, type and remedy. proves: I4, S10"""
    kind, error = outcome_of(syncify_context(make)().__enter__)
    assert (kind, type(error), error.__cause__, error.__suppress_context__) == ("error", TypeError, None, True)
    assert str(error) == f"syncify_context() needs an async context manager from {make.__qualname__!r}, {remedy}"


@contextmanager
def blocking_scope() -> Iterator[int]:
    raise AssertionError("it must not be entered")
    yield


@asynccontextmanager
async def async_scope() -> AsyncIterator[int]:
    raise AssertionError("it must not be entered")
    yield


@pytest.mark.parametrize("wrap", [asyncify_context, syncify_context])
@pytest.mark.parametrize("make", [blocking_scope, async_scope])
def test_a_scope_in_place_of_its_function_is_refused_when_wrapping(wrap: Any, make: Any) -> None:
    """A function of contextlib that was called already: that is callable, and yet no function of scopes. proves: A9, S10"""
    with pytest.raises(TypeError) as refused:
        wrap(make())
    remedy = "pass the function itself, without calling it"
    assert str(refused.value) == f"{wrap.__name__}() got a context manager; {remedy}"


@pytest.mark.anyio
async def test_a_type_error_of_an_iterable_is_its_own() -> None:
    """A TypeError that `__iter__` raises is not taken for that of something that cannot be iterated over. proves: I4"""
    error = TypeError("from __iter__")

    class Broken:
        def __iter__(self) -> Iterator[int]:
            raise error

    async with aclosing(asyncify_iterator(Broken)()) as stream:
        assert await outcome_of_awaiting(lambda: anext(stream)) == ("error", error)


@pytest.mark.parametrize("wrap", [asyncify_context, asyncify_iterator])
def test_what_is_no_limiter_is_refused_when_wrapping(wrap: Any) -> None:
    """A limiter of another kind is refused when wrapping, with what to pass instead. proves: A9"""
    with pytest.raises(TypeError) as refused:
        wrap(nullcontext, limiter=3)
    assert str(refused.value) == f"{wrap.__name__}() got limiter=3; pass an anyio.CapacityLimiter, or None for the default one"


@pytest.mark.parametrize("wrap", [syncify_context, syncify_iterator])
def test_what_is_no_portal_is_refused_when_wrapping(wrap: Any) -> None:
    """A portal of another kind is refused when wrapping, with what to pass instead. proves: S1, S10"""
    with pytest.raises(TypeError) as refused:
        wrap(nullcontext, portal="main")
    remedy = "pass an anyio.from_thread.BlockingPortal, or None for the default one"
    assert str(refused.value) == f"{wrap.__name__}() got portal='main'; {remedy}"


class Methods:
    """Each decorator with its options, above a bare static or class method: the result stays such a method."""

    factor = 2
    limiter = CapacityLimiter(1)

    @asyncify_context(limiter=limiter)
    @staticmethod
    @contextmanager
    def blocking_scope(value: int) -> Iterator[tuple[int, int]]:
        yield value, Methods.limiter.statistics().borrowed_tokens

    @asyncify_iterator(limiter=limiter)
    @classmethod
    def blocking_stream(cls, value: int) -> Iterator[int]:
        yield cls.factor * value

    @syncify_context(portal=None)
    @staticmethod
    @asynccontextmanager
    async def async_scope(value: int) -> AsyncIterator[int]:
        yield value

    @syncify_iterator(portal=None)
    @classmethod
    async def async_stream(cls, value: int) -> AsyncIterator[int]:
        yield cls.factor * value

    @syncify(portal=None)
    @classmethod
    async def call(cls, value: int) -> int:
        await checkpoint()
        return cls.factor * value


class Derived(Methods):
    factor = 3


def test_bare_methods_stay_what_they_are_below_every_decorator() -> None:
    """Decorated with options, static and class methods bind as before, and use limiter and portal. proves: A1, S1, I2"""

    async def use() -> list[Any]:
        async with Derived.blocking_scope(5) as value:
            pass
        stream = Derived().blocking_stream(5)
        return [value, *[item async for item in stream]]

    assert anyio.run(use) == [(5, 1), 15]
    with Derived().async_scope(5) as value:
        assert value == 5
    assert (list(Derived.async_stream(5)), Derived().call(5)) == ([15], 15)
    kinds = {name: type(vars(Methods)[name]) for name in ("blocking_scope", "blocking_stream", "async_scope", "async_stream")}
    assert list(kinds.values()) == [staticmethod, classmethod] * 2


@pytest.mark.anyio
async def test_what_is_never_begun_takes_nothing(deaths: Deaths) -> None:
    """A stream or scope that is dropped before its first step takes no token and keeps no argument. proves: I1, I3, A10"""
    limiter = CapacityLimiter(1)

    def never(_: object) -> Any:
        raise AssertionError("nobody asked for it")

    asyncify_context(never, limiter=limiter)(deaths.watch(Thing()))
    asyncify_iterator(never, limiter=limiter)(deaths.watch(Thing()))
    syncify_context(never)(deaths.watch(Thing()))
    syncify_iterator(never)(deaths.watch(Thing()))
    assert deaths.all_at_once()
    assert limiter.borrowed_tokens == 0


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_on_a_portal_that_is_not_running_nothing_begins(backend: Any) -> None:
    """Stream and scope on a stopped portal raise PortalNotRunningError, whatever is done with them next. proves: I3, S4"""

    def never() -> Any:
        raise AssertionError("no loop runs it")

    with start_blocking_portal(backend) as portal:
        pass
    stream = syncify_iterator(never, portal=portal)()
    context = syncify_context(never, portal=portal)()
    assert type(outcome_of(lambda: next(stream))[1]) is PortalNotRunningError
    assert outcome_of(lambda: next(stream, "over")) == ("value", "over")
    assert outcome_of(stream.close) == ("value", None)
    assert type(outcome_of(context.__enter__)[1]) is PortalNotRunningError
    assert outcome_of(lambda: context.__exit__(None, None, None)) == ("value", False)


@pytest.mark.anyio
async def test_a_stop_iteration_of_the_consumer_comes_back_from_a_source_that_cannot_catch() -> None:
    """Thrown into a source without `throw`, a StopIteration is no end of it, but an error like any other. proves: I4, A8"""
    error = StopIteration("mine")
    limiter = to_thread.current_default_thread_limiter()
    with anyio.fail_after(WAIT_S):
        async with aclosing(asyncify_iterator(lambda: [1, 2])()) as stream:
            assert await anext(stream) == 1
            kind, raised = await outcome_of_awaiting(lambda: stream.athrow(error))
    assert (kind, type(raised), raised.__cause__) == ("error", RuntimeError, error)
    assert limiter.borrowed_tokens == 0


class Numbers:
    """An async iterator that cannot be thrown into, nor closed."""

    def __aiter__(self) -> Numbers:
        return self

    async def __anext__(self) -> int:
        await checkpoint()
        return 1


@pytest.mark.parametrize("kind", [ValueError, StopAsyncIteration])
def test_an_error_of_the_consumer_comes_back_from_an_async_source_that_cannot_catch(kind: type[Exception]) -> None:
    """Thrown into a source without `athrow`, an error comes back as the same object, an end of streams, too. proves: I4, S2"""
    error = kind("mine")
    stream = syncify_iterator(Numbers)()
    assert next(stream) == 1
    assert outcome_of(lambda: stream.throw(error)) == ("error", error)
    assert outcome_of(lambda: next(stream, "over")) == ("value", "over")

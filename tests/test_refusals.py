"""What cannot work is refused at the earliest moment; each message names the call, the cause and the remedy."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Iterator
from types import FunctionType
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal

from gllm_core.concurrency import PortalNotRunningError, asyncify, get_default_portal, syncify


def plain() -> int:
    return 7


async def fetch() -> int:
    return 7


def items() -> Iterator[int]:
    yield 7


async def async_items() -> AsyncIterator[int]:
    yield 7


class AsyncCallable:
    async def __call__(self) -> int:
        return 7


ASYNCIFY: list[tuple[Any, str]] = [
    (fetch, "asyncify() got the coroutine function 'fetch'; await it directly"),
    (functools.partial(fetch), "asyncify() got the coroutine function 'fetch'; await it directly"),
    (AsyncCallable(), "asyncify() got the coroutine function 'AsyncCallable'; await it directly"),
    (asyncify(plain), "asyncify() got the coroutine function 'plain'; await it directly"),
    (items, "asyncify() got the generator function 'items'; use asyncify_iterator, which bridges one item at a time"),
    (async_items, "asyncify() got the async generator function 'async_items'; iterate over it directly with 'async for'"),
    (7, "asyncify() needs a callable, got 7; pass the function itself, not the result of a call"),
]

SYNCIFY: list[tuple[Any, str]] = [
    (
        async_items,
        "syncify() got the async generator function 'async_items'; use syncify_iterator, which bridges one item at a time",
    ),
    (items, "syncify() got the generator function 'items'; it is not async: call it directly"),
    (7, "syncify() needs an async callable, got 7; pass the function itself, not the result of a call"),
]


@pytest.mark.parametrize(("bad", "message"), ASYNCIFY)
def test_asyncify_refuses_when_wrapping(bad: Any, message: str) -> None:
    """What asyncify cannot run on a worker thread is refused when wrapping, with the remedy. proves: A9"""
    with pytest.raises(TypeError) as refused:
        asyncify(bad)
    assert str(refused.value) == message


@pytest.mark.parametrize(("bad", "message"), SYNCIFY)
def test_syncify_refuses_when_wrapping(bad: Any, message: str) -> None:
    """What can be seen not to return an awaitable is refused when wrapping, with the remedy. proves: S10"""
    with pytest.raises(TypeError) as refused:
        syncify(bad)
    assert str(refused.value) == message


def test_a_coroutine_is_refused_and_closed() -> None:
    """A coroutine in place of its function is refused, without Python's warning on top. proves: S10"""
    coroutine = fetch()
    with pytest.raises(TypeError) as refused:
        syncify(coroutine)  # type: ignore[call-overload] # the bad input is the point
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED
    assert str(refused.value) == "syncify() got the coroutine 'fetch'; pass the function itself, without calling it"


def test_a_result_that_is_not_awaitable_is_refused() -> None:
    """A function whose result cannot be awaited is named, with the type that it returned. proves: S10"""
    remedy = "call the function directly, or return an awaitable from it"
    with pytest.raises(TypeError) as refused:
        syncify(plain)()  # type: ignore[arg-type] # the bad input is the point
    assert str(refused.value) == f"syncify() needs an awaitable from 'plain', got 'int'; {remedy}"
    with pytest.raises(TypeError) as refused:
        syncify(len)([])  # type: ignore[arg-type] # the bad input is the point
    assert str(refused.value) == f"syncify() needs an awaitable from 'len', got 'int'; {remedy}"
    with pytest.raises(TypeError) as refused:
        syncify(lambda: async_items())()  # type: ignore[arg-type, return-value] # the bad input is the point
    assert str(refused.value).endswith("got 'async_generator'; use syncify_iterator, which bridges one item at a time")


class Awaitable:
    def __await__(self) -> Iterator[Any]:
        return fetch().__await__()


def test_any_awaitable_will_do() -> None:
    """Coroutine functions, async callables, partials, methods, functions of futures and of awaitable objects. proves: S10"""

    class Client:
        async def get(self) -> int:
            return 7

        @staticmethod
        async def post() -> int:
            return 7

    def future() -> asyncio.Future[int]:
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        done.set_result(7)
        return done

    made: list[Any] = [
        fetch,
        AsyncCallable(),
        functools.partial(fetch),
        Client().get,
        Client.post,
        future,
        Awaitable,
        asyncify(plain),
    ]
    assert [syncify(function)() for function in made] == [7] * len(made)


def test_wrong_options_are_refused_when_wrapping() -> None:
    """A limiter or a portal of a wrong type is refused when wrapping, not at the first call. proves: A9, S10"""
    with pytest.raises(TypeError) as refused:
        asyncify(plain, limiter=4)  # type: ignore[call-overload] # the bad input is the point
    assert str(refused.value) == "asyncify() got limiter=4; pass an anyio.CapacityLimiter, or None for the default one"
    with pytest.raises(TypeError) as refused:
        syncify(fetch, portal=4)  # type: ignore[call-overload] # the bad input is the point
    advice = "pass an anyio.from_thread.BlockingPortal, or None for the default one"
    assert str(refused.value) == f"syncify() got portal=4; {advice}"


@pytest.mark.parametrize("wrong", ["yes", None, 1])
def test_cancellable_is_true_or_false(wrong: Any) -> None:
    """What is neither True nor False is refused when wrapping, in the decorator's form, too. proves: A9"""
    for args in ((plain,), ()):
        with pytest.raises(TypeError) as refused:
            asyncify(*args, cancellable=wrong)
        assert str(refused.value) == f"asyncify() got cancellable={wrong!r}; pass True or False"


class Syncified:
    """Syncified twice over in all the ways in which a call finds its function."""

    @syncify
    async def get(self) -> int:
        return 7

    __call__ = get


def copy_by_value(wrapper: Any) -> Any:
    """A function with equal code, as it comes out of a pickle by value."""
    code = wrapper.__code__.replace()
    assert code is not wrapper.__code__
    copy = FunctionType(code, wrapper.__globals__, wrapper.__name__, None, wrapper.__closure__)
    copy.__qualname__ = wrapper.__qualname__
    return copy


SYNCIFIED: list[tuple[Any, str]] = [
    (copy_by_value(syncify(fetch)), "fetch"),
    (syncify(fetch), "fetch"),
    (functools.partial(syncify(fetch)), "fetch"),
    (staticmethod(syncify(fetch)), "fetch"),
    (Syncified().get, "Syncified.get"),
    (Syncified(), "Syncified"),
]


@pytest.mark.parametrize(("twice", "name"), SYNCIFIED)
def test_what_is_syncified_is_not_syncified_again(twice: Any, name: str) -> None:
    """A second syncify, on any portal, is refused when wrapping, and says what is wrong. proves: S10"""
    message = f"syncify() got {name!r}, which is syncified already; call it directly"
    for portal in (None, get_default_portal()):
        with pytest.raises(TypeError) as refused:
            syncify(twice, portal=portal)
        assert str(refused.value) == message


def test_a_function_around_a_syncified_one_is_not_taken_for_it() -> None:
    """What wraps a syncified function, and looks like it, can be syncified; so can what asyncifies one. proves: S10"""
    inner = syncify(fetch)

    @functools.wraps(inner)
    async def around() -> int:
        return await asyncify(inner)()

    assert syncify(around)() == syncify(asyncify(inner))() == 7


class NamedByItself:
    """A callable object with a name of its own, beside that of its class."""

    def __init__(self) -> None:
        self.__name__ = "job"

    def __call__(self) -> Any:
        return 7


def test_what_has_a_name_of_its_own_is_called_by_it() -> None:
    """An error names a callable object by its own name, where it has one. proves: S10"""
    with pytest.raises(TypeError, match="needs an awaitable from 'job', got 'int'"):
        syncify(NamedByItself())()


def test_bare_method_objects_stay_what_they_are() -> None:
    """A staticmethod or classmethod object is accepted, and stays one. proves: A9"""
    of_class: Any = classmethod(lambda cls: cls.__name__)

    class Reader:
        read = asyncify(staticmethod(plain))
        read_of = asyncify(of_class)
        get = syncify(staticmethod(fetch))

    assert isinstance(vars(Reader)["read"], staticmethod)
    assert isinstance(vars(Reader)["read_of"], classmethod)
    assert isinstance(vars(Reader)["get"], staticmethod)
    assert syncify(Reader.read)() == Reader.get() == 7
    assert syncify(Reader.read_of)() == "Reader"


def test_a_portal_that_is_not_running_is_refused() -> None:
    """A stopped portal is refused at once: before its first call, and after others. proves: S4"""
    with start_blocking_portal() as portal:
        used = syncify(fetch, portal=portal)
        assert used() == 7
    with start_blocking_portal() as portal:
        unused = syncify(fetch, portal=portal)
    with pytest.raises(PortalNotRunningError) as refused:
        used()
    assert str(refused.value) == "the portal of 'fetch' is not running; use one that is, or the default portal"
    with pytest.raises(PortalNotRunningError) as refused:
        unused()
    cause = "it was stopped, its thread died, or it belongs to a parent process"
    assert str(refused.value) == f"the portal of 'fetch' is not running: {cause}; use one that is, or the default portal"
    assert get_default_portal().call(plain) == 7

"""Decorators, bare and with options; options in the direct form."""

from collections.abc import Callable, Coroutine
from typing import Any, assert_type

from anyio import CapacityLimiter
from anyio.from_thread import BlockingPortal

from gllm_core.concurrency import asyncify, get_default_portal, syncify

limiter = CapacityLimiter(2)
portal = get_default_portal()
assert_type(portal, BlockingPortal)
assert_type(get_default_portal, Callable[[], BlockingPortal])


@asyncify
def bare(x: int, /, *, y: str = "") -> float: ...


@asyncify()
def empty(x: int, /, *, y: str = "") -> float: ...


@asyncify(limiter=limiter)
def limited(x: int, /, *, y: str = "") -> float: ...


@asyncify(cancellable=True)
def cancellable(x: int, /, *, y: str = "") -> float: ...


@asyncify(cancellable=True, limiter=None)
def both(x: int, /, *, y: str = "") -> float: ...


@syncify
async def bare_now(x: int, /, *, y: str = "") -> float: ...


@syncify()
async def empty_now(x: int, /, *, y: str = "") -> float: ...


@syncify(portal=portal)
async def on_portal(x: int, /, *, y: str = "") -> float: ...


@syncify(portal=None)
async def on_default(x: int, /, *, y: str = "") -> float: ...


async def decorated() -> None:
    assert_type(await bare(1, y="y"), float)
    assert_type(await empty(1, y="y"), float)
    assert_type(await limited(1, y="y"), float)
    assert_type(await cancellable(1, y="y"), float)
    assert_type(await both(1), float)
    await assert_type(limited(1), Coroutine[Any, Any, float])
    assert_type(bare_now(1, y="y"), float)
    assert_type(empty_now(1, y="y"), float)
    assert_type(on_portal(1, y="y"), float)
    assert_type(on_default(1), float)


def work(x: int, /) -> str: ...
async def async_work(x: int, /) -> str: ...


def direct(maybe: CapacityLimiter | None, flag: bool, maybe_portal: BlockingPortal | None) -> None:
    assert_type(asyncify(work, limiter=limiter), Callable[[int], Coroutine[Any, Any, str]])
    assert_type(asyncify(work, limiter=None), Callable[[int], Coroutine[Any, Any, str]])
    assert_type(asyncify(work, limiter=maybe), Callable[[int], Coroutine[Any, Any, str]])
    assert_type(asyncify(work, cancellable=True), Callable[[int], Coroutine[Any, Any, str]])
    assert_type(asyncify(work, cancellable=False), Callable[[int], Coroutine[Any, Any, str]])
    assert_type(asyncify(work, cancellable=flag), Callable[[int], Coroutine[Any, Any, str]])
    assert_type(asyncify(work, limiter=limiter, cancellable=True), Callable[[int], Coroutine[Any, Any, str]])
    assert_type(asyncify(work, cancellable=flag, limiter=maybe), Callable[[int], Coroutine[Any, Any, str]])
    assert_type(asyncify(func=work, limiter=limiter), Callable[[int], Coroutine[Any, Any, str]])
    assert_type(asyncify(cancellable=True, func=work), Callable[[int], Coroutine[Any, Any, str]])
    assert_type(syncify(async_work, portal=portal), Callable[[int], str])
    assert_type(syncify(async_work, portal=None), Callable[[int], str])
    assert_type(syncify(async_work, portal=maybe_portal), Callable[[int], str])
    assert_type(syncify(async_func=async_work, portal=portal), Callable[[int], str])


def a_decorator_that_is_kept() -> None:
    decorator = asyncify(limiter=limiter)
    assert_type(decorator(work), Callable[[int], Coroutine[Any, Any, str]])
    assert_type(asyncify(None)(work), Callable[[int], Coroutine[Any, Any, str]])
    assert_type(asyncify(None, cancellable=True)(work), Callable[[int], Coroutine[Any, Any, str]])
    sync_decorator = syncify(portal=portal)
    assert_type(sync_decorator(async_work), Callable[[int], str])
    assert_type(syncify(None)(async_work), Callable[[int], str])

"""Streams and scopes: parameters kept, items and values known, bare and with options, as methods, and both ways round."""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Generator, Iterable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    ExitStack,
    aclosing,
    asynccontextmanager,
    closing,
    contextmanager,
)
from typing import Any, TypeVar, assert_type

from anyio import CapacityLimiter
from anyio.from_thread import BlockingPortal

from gllm_core.concurrency import asyncify_context, asyncify_iterator, syncify_context, syncify_iterator

T = TypeVar("T")


def lines(path: str, *, size: int = 1) -> Iterator[bytes]: ...
def generated(start: int, /) -> Generator[str, None, None]: ...
def listed(*numbers: int) -> list[int]: ...
def same(items: Iterable[T]) -> Iterator[T]: ...
async def tokens(prompt: str, *, limit: int = 1) -> AsyncIterator[str]:
    yield prompt


async def async_generated(start: int, /) -> AsyncGenerator[float, None]:
    yield 1.0


def async_listed(number: int, /) -> AsyncIterable[bytes]: ...


@contextmanager
def opened(path: str, *, mode: str = "r") -> Generator[bytes, None, None]:
    yield b""


@asynccontextmanager
async def connected(host: str, port: int = 1) -> AsyncGenerator[int, None]:
    yield port


class Lock:
    def __init__(self, name: str, /) -> None: ...
    def __enter__(self) -> "Lock": ...
    def __exit__(self, *exc_info: object) -> None: ...


async def blocking_streams(limiter: CapacityLimiter) -> None:
    assert_type(asyncify_iterator(lines)("p", size=2), AsyncGenerator[bytes, None])
    assert_type(asyncify_iterator(lines, limiter=limiter)(path="p"), AsyncGenerator[bytes, None])
    assert_type(asyncify_iterator(lines, limiter=None)("p"), AsyncGenerator[bytes, None])
    assert_type(asyncify_iterator(limiter=limiter)(listed)(1, 2), AsyncGenerator[int, None])
    assert_type(asyncify_iterator()(listed)(), AsyncGenerator[int, None])
    assert_type(asyncify_iterator(same)([1]), AsyncGenerator[int, None])
    async for line in asyncify_iterator(lines)("p"):
        assert_type(line, bytes)
    assert_type([number async for number in asyncify_iterator(listed)(1)], list[int])
    async with aclosing(asyncify_iterator(generated)(1)) as stream:
        assert_type(await anext(stream), str)
        await stream.athrow(ValueError())
        await stream.aclose()


assert_type(asyncify_iterator(generated), Callable[[int], AsyncGenerator[str, None]])
assert_type(asyncify_iterator(func=generated), Callable[[int], AsyncGenerator[str, None]])
assert_type(syncify_iterator(async_generated), Callable[[int], Generator[float, None, None]])
assert_type(syncify_iterator(async_func=async_listed), Callable[[int], Generator[bytes, None, None]])
assert_type(syncify_iterator(asyncify_iterator(generated)), Callable[[int], Generator[str, None, None]])
assert_type(asyncify_iterator(syncify_iterator(async_generated)), Callable[[int], AsyncGenerator[float, None]])


def async_streams(portal: BlockingPortal) -> None:
    assert_type(syncify_iterator(tokens)("p", limit=2), Generator[str, None, None])
    assert_type(syncify_iterator(tokens, portal=portal)(prompt="p"), Generator[str, None, None])
    assert_type(syncify_iterator(tokens, portal=None)("p"), Generator[str, None, None])
    assert_type(syncify_iterator(portal=portal)(async_listed)(1), Generator[bytes, None, None])
    assert_type(syncify_iterator()(async_listed)(1), Generator[bytes, None, None])
    for token in syncify_iterator(tokens)("p"):
        assert_type(token, str)
    assert_type(list(syncify_iterator(async_generated)(1)), list[float])
    with closing(syncify_iterator(async_listed)(1)) as stream:
        assert_type(next(stream), bytes)
        stream.throw(ValueError())


async def blocking_scopes(limiter: CapacityLimiter, stack: AsyncExitStack) -> None:
    assert_type(asyncify_context(opened)("p", mode="w"), AbstractAsyncContextManager[bytes])
    assert_type(asyncify_context(opened, limiter=limiter)("p"), AbstractAsyncContextManager[bytes])
    assert_type(asyncify_context(limiter=None)(opened)("p"), AbstractAsyncContextManager[bytes])
    async with asyncify_context(opened)("p") as data, asyncify_context(Lock)("name") as lock:
        assert_type(data, bytes)
        assert_type(lock, Lock)
    assert_type(await stack.enter_async_context(asyncify_context(opened)("p")), bytes)


def async_scopes(portal: BlockingPortal, stack: ExitStack) -> None:
    assert_type(syncify_context(connected)("h", port=2), AbstractContextManager[int])
    assert_type(syncify_context(connected, portal=portal)(host="h"), AbstractContextManager[int])
    assert_type(syncify_context(portal=None)(connected)("h"), AbstractContextManager[int])
    with syncify_context(connected)("h") as port:
        assert_type(port, int)
    assert_type(stack.enter_context(syncify_context(connected)("h")), int)
    with syncify_context(asyncify_context(opened))("p") as data:
        assert_type(data, bytes)


class Store:
    @asyncify_iterator
    def rows(self, table: str) -> Iterator[tuple[Any, ...]]: ...

    @asyncify_iterator(limiter=None)
    def keys(self, table: str, /) -> list[str]: ...

    @syncify_iterator
    async def events(self, kind: int) -> AsyncIterator[str]:
        yield ""

    @asyncify_context
    @contextmanager
    def transaction(self, *, read_only: bool = False) -> Generator[int, None, None]:
        yield 1

    @syncify_context(portal=None)
    @asynccontextmanager
    async def session(self, name: str) -> AsyncGenerator[bytes, None]:
        yield b""


async def methods(store: Store) -> None:
    assert_type([row async for row in store.rows("t")], list[tuple[Any, ...]])
    assert_type([key async for key in store.keys("t")], list[str])
    assert_type(list(store.events(kind=1)), list[str])
    async with store.transaction(read_only=True) as number:
        assert_type(number, int)
    with store.session("n") as session:
        assert_type(session, bytes)

"""Results taken for what they are not, and functions that cannot be wrapped."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from typing import Any

from anyio.from_thread import BlockingPortal

from gllm_core.concurrency import BlockedLoopWarning, PortalNotRunningError, asyncify, get_default_portal, syncify


def work(x: int, /) -> str: ...
async def async_work(x: int, /) -> str: ...
async def async_numbers() -> AsyncIterator[int]:
    yield 1


def numbers() -> Iterator[int]: ...
def submitted() -> Future[int]: ...
def takes_text(text: str) -> None: ...
def takes_number(number: int) -> None: ...
def takes_callback(callback: Callable[[int], str]) -> None: ...
def takes_async_callback(callback: Callable[[int], Coroutine[Any, Any, str]]) -> None: ...
def takes_callback_of_text(callback: Callable[[str], Coroutine[Any, Any, str]]) -> None: ...
def takes_os_error(error: OSError) -> None: ...


class Store:
    @asyncify
    def read(self, key: str) -> bytes: ...

    def get(self, key: str) -> Coroutine[Any, Any, bytes]: ...


class Child(Store):
    def read(self, key: str) -> bytes: ...  # E


class Wrong(Store):
    @asyncify
    def get(self, key: int) -> bytes: ...  # E


async def a_coroutine_is_not_its_value(store: Store) -> None:
    asyncify(work)(1)  # E
    asyncify(work, limiter=None)(1)  # E
    store.read("k")  # E
    takes_text(asyncify(work)(1))  # E
    asyncify(work)(1).upper()  # E
    asyncify(work, cancellable=True)(1).upper()  # E
    asyncify(work)(1) + "text"  # E
    len(store.read("k"))  # E
    takes_number(await asyncify(work)(1))  # E
    (await asyncify(work)(1)).no_such_method()  # E
    for _ in asyncify(numbers)():  # E
        pass
    async with asyncify(work)(1):  # E
        pass


async def a_value_is_not_awaitable() -> None:
    await syncify(async_work)(1)  # E
    await syncify(asyncify(work))(1)  # E
    asyncio.run(syncify(async_work)(1))  # E
    takes_number(syncify(async_work)(1))  # E
    syncify(async_work)(1).no_such_method()  # E


def as_a_callback() -> None:
    takes_callback(asyncify(work))  # E
    takes_callback_of_text(asyncify(work))  # E
    takes_callback_of_text(asyncify(work, cancellable=True))  # E
    takes_async_callback(syncify(async_work))  # E
    takes_callback(async_work)  # E
    asyncio.run(asyncify(work))  # E


def what_cannot_be_wrapped() -> None:
    asyncify(1)  # E
    asyncify("text")  # E
    asyncify(work(1))  # E
    asyncify(1, cancellable=True)  # E
    asyncify(cancellable=True)(1)  # E
    asyncify()(func=work)  # E
    asyncify()()  # E
    syncify(1)  # E
    syncify(work)  # E
    syncify(len)  # E
    syncify(work, portal=None)  # E
    syncify(portal=None)(work)  # E
    syncify(lambda: 1)  # E
    syncify(async_numbers)  # E
    syncify(submitted)  # E
    syncify(syncify(async_work))  # E
    syncify()(async_func=async_work)  # E


@syncify  # E
def decorated(x: int) -> str: ...


def the_other_names() -> None:
    get_default_portal(1)  # E
    get_default_portal().no_such_method()  # E
    takes_text(get_default_portal())  # E
    takes_os_error(PortalNotRunningError())  # E
    takes_os_error(BlockedLoopWarning())  # E
    BlockingPortal.call(PortalNotRunningError(), work, 1)  # E

"""Calls of wrapped functions with the wrong arguments: each line that ends with a mark is an error to every checker."""

from collections.abc import Sequence
from typing import TypedDict, TypeVar, Unpack, overload

from gllm_core.concurrency import asyncify, syncify

T = TypeVar("T")


class Options(TypedDict, total=False):
    timeout: float
    retries: int


def work(key: str, size: int = 1, *, flag: bool = False) -> bytes: ...
def required(key: str, *, size: int) -> bytes: ...
def positional_only(key: str, /) -> bytes: ...
def nothing() -> None: ...
def star_args(*numbers: int) -> int: ...
def star_kwargs(**texts: str) -> int: ...
def unpacked(url: str, **options: Unpack[Options]) -> bytes: ...
def first(items: Sequence[T]) -> T: ...
async def async_work(key: str, size: int = 1, *, flag: bool = False) -> bytes: ...
async def async_required(key: str, *, size: int) -> bytes: ...
async def async_positional_only(key: str, /) -> bytes: ...
async def async_star_args(*numbers: int) -> int: ...
async def async_unpacked(url: str, **options: Unpack[Options]) -> bytes: ...


@overload
def load(key: int) -> int: ...
@overload
def load(key: str, *, text: bool = False) -> str: ...
def load(key: int | str, *, text: bool = False) -> int | str: ...


class Store:
    @asyncify
    def read(self, key: str) -> bytes: ...

    @asyncify(cancellable=True)
    def write(self, key: str, value: bytes) -> int: ...

    @classmethod
    @asyncify
    def named(cls, name: str) -> float: ...

    @syncify
    async def read_now(self, key: str) -> bytes: ...


class Parser:
    def __call__(self, text: str) -> int: ...


async def of_asyncified_functions() -> None:
    await asyncify(work)()  # E
    await asyncify(work)(1)  # E
    await asyncify(work)("k", "1")  # E
    await asyncify(work)("k", 1, True)  # E
    await asyncify(work)("k", colour=1)  # E
    await asyncify(work)("k", key="k")  # E
    await asyncify(work)("k", flag="yes")  # E
    await asyncify(required)("k")  # E
    await asyncify(required)("k", 1)  # E
    await asyncify(positional_only)(key="k")  # E
    await asyncify(nothing)(1)  # E
    await asyncify(star_args)(1, "2")  # E
    await asyncify(star_args)(number=1)  # E
    await asyncify(star_kwargs)(a=1)  # E
    await asyncify(star_kwargs)("x")  # E
    await asyncify(unpacked)("u", timeout="long")  # E
    await asyncify(unpacked)("u", colour=1)  # E
    await asyncify(first)(1)  # E
    await asyncify(load)(b"k")  # E
    await asyncify(load)(1, text=True)  # E
    await asyncify(Parser())(1)  # E
    await asyncify(lambda: 1)(2)  # E
    await asyncify(work, cancellable=True)(1)  # E
    await asyncify(work, cancellable=True)("k", colour=1)  # E
    await asyncify(work, limiter=None)(1)  # E
    await asyncify(work, limiter=None, cancellable=True)()  # E
    await asyncify(cancellable=True)(work)(1)  # E
    await asyncify(func=work)(1)  # E


async def of_asyncified_methods(store: Store) -> None:
    await store.read()  # E
    await store.read(1)  # E
    await store.read("k", "k")  # E
    await Store.read("k")  # E
    await store.write("k", "text")  # E
    await store.write("k")  # E
    await Store.named(1)  # E


def of_syncified_functions(store: Store) -> None:
    syncify(async_work)()  # E
    syncify(async_work)(1)  # E
    syncify(async_work)("k", "1")  # E
    syncify(async_work)("k", 1, True)  # E
    syncify(async_work)("k", colour=1)  # E
    syncify(async_required)("k")  # E
    syncify(async_positional_only)(key="k")  # E
    syncify(async_star_args)(1, "2")  # E
    syncify(async_unpacked)("u", timeout="long")  # E
    syncify(async_work, portal=None)(1)  # E
    syncify(portal=None)(async_work)(1)  # E
    syncify(async_func=async_work)(1)  # E
    syncify(asyncify(work))(1)  # E
    store.read_now(1)  # E
    store.read_now()  # E
    Store.read_now("k")  # E

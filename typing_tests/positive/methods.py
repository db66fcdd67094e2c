"""Methods: decorated in a class body, bound and unbound, overridden, abstract, required by a protocol."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self, TypeVar, assert_type

from anyio import CapacityLimiter

from gllm_core.concurrency import asyncify, syncify

T = TypeVar("T")
limiter = CapacityLimiter(1)


class Store:
    def __init__(self, name: str) -> None: ...

    def plain(self, key: str, *, size: int = 1) -> bytes: ...

    async def async_plain(self, key: str, *, size: int = 1) -> bytes: ...

    @asyncify
    def read(self, key: str, *, size: int = 1) -> bytes: ...

    @asyncify(cancellable=True, limiter=limiter)
    def write(self, key: str, value: bytes) -> int: ...

    @asyncify
    def me(self) -> Self: ...

    @classmethod
    @asyncify
    def named(cls, name: str) -> float: ...

    @staticmethod
    @asyncify
    def parse(text: str) -> int: ...

    @asyncify
    @staticmethod
    def parse_below(text: str) -> int: ...

    @asyncify
    @classmethod
    def named_below(cls, name: str) -> float: ...

    @property
    @asyncify
    def reader(self) -> str: ...

    @syncify
    async def read_now(self, key: str, *, size: int = 1) -> bytes: ...

    @syncify(portal=None)
    async def write_now(self, key: str, value: bytes) -> int: ...

    @syncify
    async def me_now(self) -> Self: ...

    @classmethod
    @syncify
    async def named_now(cls, name: str) -> float: ...

    @staticmethod
    @syncify
    async def parse_now(text: str) -> int: ...


class Child(Store):
    async def read(self, key: str, *, size: int = 1) -> bytes:
        return assert_type(await super().read(key, size=size), bytes)

    def read_now(self, key: str, *, size: int = 1) -> bytes:
        return assert_type(super().read_now(key), bytes)


async def awaited_methods(store: Store, child: Child) -> None:
    assert_type(await store.read("k"), bytes)
    assert_type(await store.read("k", size=2), bytes)
    assert_type(await Store.read(store, "k"), bytes)
    assert_type(await store.write("k", b""), int)
    assert_type(await store.me(), Store)
    assert_type(await child.me(), Child)
    assert_type(await Store.named("n"), float)
    assert_type(await store.named("n"), float)
    assert_type(await Store.parse("1"), int)
    assert_type(await store.parse("1"), int)
    assert_type(await Store.parse_below("1"), int)
    assert_type(await store.parse_below("1"), int)
    assert_type(await Store.named_below("n"), float)
    assert_type(await store.named_below("n"), float)
    assert_type(await store.reader, str)
    assert_type(await child.read("k"), bytes)
    assert_type(await asyncify(store.plain)("k", size=2), bytes)
    assert_type(await asyncify(Store.plain)(store, "k"), bytes)
    assert_type(await asyncify(Store)("name"), Store)
    await assert_type(store.read("k"), Coroutine[Any, Any, bytes])


def blocking_methods(store: Store, child: Child) -> None:
    assert_type(store.read_now("k", size=2), bytes)
    assert_type(Store.read_now(store, "k"), bytes)
    assert_type(store.write_now("k", b""), int)
    assert_type(store.me_now(), Store)
    assert_type(child.me_now(), Child)
    assert_type(Store.named_now("n"), float)
    assert_type(store.parse_now("1"), int)
    assert_type(child.read_now("k"), bytes)
    assert_type(syncify(store.async_plain)("k"), bytes)
    assert_type(syncify(Store.async_plain)(store, "k", size=2), bytes)


class Source(ABC):
    @abstractmethod
    def get(self, x: int) -> Coroutine[Any, Any, str]: ...

    @abstractmethod
    def get_now(self, x: int) -> str: ...


class WrappedSource(Source):
    @asyncify
    def get(self, x: int) -> str: ...

    @syncify
    async def get_now(self, x: int) -> str: ...


class NativeSource(Source):
    async def get(self, x: int) -> str: ...

    def get_now(self, x: int) -> str: ...


async def through_the_base(source: Source, wrapped: WrappedSource) -> None:
    assert_type(await source.get(1), str)
    assert_type(await wrapped.get(1), str)
    assert_type(wrapped.get_now(1), str)


class Getter(Protocol):
    def get(self, x: int) -> Coroutine[Any, Any, str]: ...


async def through_a_protocol(getter: Getter) -> str:
    return assert_type(await getter.get(1), str)


async def accepted_by_a_protocol() -> None:
    assert_type(await through_a_protocol(WrappedSource()), str)
    assert_type(await through_a_protocol(NativeSource()), str)


class Box(Generic[T]):
    def __init__(self, value: T) -> None: ...

    @asyncify
    def get(self) -> T: ...

    @asyncify(cancellable=True)
    def put(self, value: T) -> list[T]: ...

    @syncify
    async def get_now(self) -> T: ...


async def generic_class(box: Box[str]) -> None:
    assert_type(await box.get(), str)
    assert_type(await box.put("x"), list[str])
    assert_type(box.get_now(), str)


@dataclass
class Job:
    run: Callable[[int], Coroutine[Any, Any, str]]


def work(x: int, /) -> str: ...


async def field(job: Job) -> None:
    assert_type(await job.run(1), str)
    assert_type(await Job(asyncify(work)).run(1), str)
    assert_type(await Job(run=asyncify(work, limiter=limiter)).run(1), str)

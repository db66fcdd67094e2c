"""Plain callables: parameters of every kind, callable objects, lambdas, builtins, and what syncify takes for async."""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator
from functools import partial
from io import BufferedReader, TextIOWrapper
from pathlib import Path
from typing import Any, NoReturn, Protocol, TypedDict, Unpack, assert_type

import anyio

from gllm_core.concurrency import asyncify, syncify


class Options(TypedDict, total=False):
    timeout: float
    retries: int


def nothing() -> None: ...
def positional(key: str, size: int) -> bytes: ...
def defaults(key: str, size: int = 1, flag: bool = False) -> bytes: ...
def keyword_only(key: str, *, size: int, flag: bool = False) -> float: ...
def positional_only(key: str, size: int = 1, /) -> complex: ...
def mixed(a: int, /, b: str, *rest: float, c: bytes, **more: bool) -> list[str]: ...
def star_args(*numbers: int) -> int: ...
def star_kwargs(**texts: str) -> dict[str, str]: ...
def unpacked(url: str, **options: Unpack[Options]) -> bytes: ...
def optional(key: str | None = None) -> str | None: ...
def untyped_result() -> Any: ...
def exits(code: int, /) -> NoReturn: ...
def takes_callback(callback: Callable[[int], str]) -> list[str]: ...
def gives_callback(start: int) -> Callable[[int], str]: ...


async def awaited_functions() -> None:
    assert_type(await asyncify(nothing)(), None)
    assert_type(await asyncify(positional)("k", 1), bytes)
    assert_type(await asyncify(positional)(size=1, key="k"), bytes)
    assert_type(await asyncify(defaults)("k"), bytes)
    assert_type(await asyncify(defaults)("k", 2), bytes)
    assert_type(await asyncify(defaults)("k", flag=True), bytes)
    assert_type(await asyncify(keyword_only)("k", size=1), float)
    assert_type(await asyncify(keyword_only)(size=1, flag=True, key="k"), float)
    assert_type(await asyncify(positional_only)("k"), complex)
    assert_type(await asyncify(mixed)(1, "b", c=b""), list[str])
    assert_type(await asyncify(mixed)(1, "b", 1.0, 2.0, c=b"", extra=True), list[str])
    assert_type(await asyncify(star_args)(), int)
    assert_type(await asyncify(star_args)(1, 2, 3), int)
    assert_type(await asyncify(star_args)(*[1, 2, 3]), int)
    assert_type(await asyncify(star_kwargs)(a="x", b="y"), dict[str, str])
    assert_type(await asyncify(star_kwargs)(**{"a": "x"}), dict[str, str])
    assert_type(await asyncify(unpacked)("u"), bytes)
    assert_type(await asyncify(unpacked)("u", timeout=1.0, retries=2), bytes)
    assert_type(await asyncify(optional)(None), str | None)
    assert_type(await asyncify(untyped_result)(), Any)
    assert_type(await asyncify(takes_callback)(str), list[str])
    assert_type((await asyncify(gives_callback)(1))(2), str)


async def a_never_that_stays_one() -> None:
    assert_type(asyncify(exits), Callable[[int], Coroutine[Any, Any, NoReturn]])


async def the_exact_result() -> None:
    await assert_type(asyncify(positional)("k", 1), Coroutine[Any, Any, bytes])
    await assert_type(asyncify(defaults)("k"), Coroutine[Any, Any, bytes])
    await assert_type(asyncify(positional, cancellable=True)("k", 1), Coroutine[Any, Any, bytes])


def one(x: int, /) -> str: ...
async def async_one(x: int, /) -> str: ...


assert_type(asyncify(one), Callable[[int], Coroutine[Any, Any, str]])
assert_type(asyncify(func=one), Callable[[int], Coroutine[Any, Any, str]])
assert_type(syncify(async_one), Callable[[int], str])
assert_type(syncify(async_func=async_one), Callable[[int], str])


class Parser:
    def __call__(self, text: str, *, strict: bool = True) -> int: ...


class AsyncParser:
    async def __call__(self, text: str, *, strict: bool = True) -> int: ...


class Loads(Protocol):
    def __call__(self, text: str) -> bytes: ...


class AsyncLoads(Protocol):
    def __call__(self, text: str) -> Awaitable[bytes]: ...


async def other_callables(loads: Loads, plain: Callable[[int, str], float], path: Path) -> None:
    assert_type(await asyncify(Parser())("1"), int)
    assert_type(await asyncify(Parser())("1", strict=False), int)
    assert_type(await asyncify(loads)("x"), bytes)
    assert_type(asyncify(plain), Callable[[int, str], Coroutine[Any, Any, float]])
    assert_type(await asyncify(plain)(1, "x"), float)
    assert_type(await asyncify(partial(positional, "k"))(1), bytes)
    assert_type(await asyncify(partial(positional, size=1))("k"), bytes)
    assert_type(await asyncify(partial(nothing))(), None)
    assert_type(await asyncify(lambda: 1.5)(), float)
    assert_type(await asyncify(lambda: positional("k", 1))(), bytes)
    assert_type(await asyncify(Parser)(), Parser)
    assert_type(await asyncify(int)("1"), int)
    assert_type(await asyncify(list[int])([1]), list[int])
    assert_type(await asyncify(sorted)([2, 1]), list[int])
    assert_type(await asyncify(path.read_text)(), str)
    assert_type(await asyncify(path.read_text)(encoding="utf-8"), str)
    assert_type(await asyncify(Path.read_bytes)(path), bytes)


async def builtins_and_stdlib() -> None:
    assert_type(await asyncify(time.sleep)(0.1), None)
    assert_type(await asyncify(open)("name"), TextIOWrapper)
    assert_type(await asyncify(open)("name", "rb"), BufferedReader)
    assert_type(await asyncify(len)("text"), int)
    assert_type(await asyncify(os.getcwd)(), str)
    assert_type(await asyncify(os.stat)("name"), os.stat_result)
    assert_type(await asyncify(json.dumps)({"a": 1}, indent=2), str)
    assert_type(await asyncify(json.loads)("{}"), Any)


async def async_nothing() -> None: ...
async def async_defaults(key: str, size: int = 1, flag: bool = False) -> bytes: ...
async def async_keyword_only(key: str, *, size: int, flag: bool = False) -> float: ...
async def async_mixed(a: int, /, b: str, *rest: float, c: bytes, **more: bool) -> list[str]: ...
async def async_unpacked(url: str, **options: Unpack[Options]) -> bytes: ...
async def async_optional(key: str | None = None) -> str | None: ...


class Reply:
    def __await__(self) -> Generator[Any, None, float]: ...


def reply(key: str) -> Reply: ...
def future(key: str) -> asyncio.Future[bytes]: ...
def task(key: str) -> asyncio.Task[bytes]: ...
def coroutine(key: str) -> Coroutine[Any, Any, bytes]: ...
def awaitable(key: str) -> Awaitable[bytes]: ...


def blocking_callables(loads: AsyncLoads, plain: Callable[[int, str], Awaitable[float]]) -> None:
    assert_type(syncify(async_nothing)(), None)
    assert_type(syncify(async_defaults)("k"), bytes)
    assert_type(syncify(async_defaults)("k", 2, flag=True), bytes)
    assert_type(syncify(async_keyword_only)("k", size=1), float)
    assert_type(syncify(async_mixed)(1, "b", 1.0, c=b"", extra=True), list[str])
    assert_type(syncify(async_unpacked)("u", timeout=1.0), bytes)
    assert_type(syncify(async_optional)(), str | None)
    assert_type(syncify(AsyncParser())("1", strict=False), int)
    assert_type(syncify(loads)("x"), bytes)
    assert_type(syncify(plain), Callable[[int, str], float])
    assert_type(syncify(partial(async_defaults, "k"))(), bytes)
    assert_type(syncify(lambda: async_defaults("k"))(), bytes)
    assert_type(syncify(reply)("k"), float)
    assert_type(syncify(future)("k"), bytes)
    assert_type(syncify(task)("k"), bytes)
    assert_type(syncify(coroutine)("k"), bytes)
    assert_type(syncify(awaitable)("k"), bytes)
    assert_type(syncify(Reply)(), float)
    assert_type(syncify(anyio.sleep)(0.1), None)
    assert_type(syncify(asyncio.sleep)(0.1), None)

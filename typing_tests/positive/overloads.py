"""Functions that are overloaded themselves: the wrapper has the same overloads."""

from collections.abc import Coroutine
from typing import Any, Literal, assert_type, overload

from gllm_core.concurrency import asyncify, syncify


@overload
def load(key: int) -> int: ...
@overload
def load(key: str, *, text: bool = False) -> str: ...
@overload
def load(key: bytes, size: int) -> bytes: ...
def load(key: int | str | bytes, size: int = 0, *, text: bool = False) -> int | str | bytes: ...


@overload
async def async_load(key: int) -> int: ...
@overload
async def async_load(key: str, *, text: bool = False) -> str: ...
async def async_load(key: int | str, *, text: bool = False) -> int | str: ...


class Files:
    @overload
    def read(self, name: str, binary: Literal[True]) -> bytes: ...
    @overload
    def read(self, name: str, binary: Literal[False] = False) -> str: ...
    def read(self, name: str, binary: bool = False) -> bytes | str: ...


async def awaited_overloads(files: Files) -> None:
    assert_type(await asyncify(load)(1), int)
    assert_type(await asyncify(load)("k"), str)
    assert_type(await asyncify(load)("k", text=True), str)
    assert_type(await asyncify(load)(b"k", 1), bytes)
    assert_type(await asyncify(func=load)(1), int)
    assert_type(await asyncify(func=load)("k"), str)
    assert_type(await asyncify(files.read)("n"), str)
    assert_type(await asyncify(files.read)("n", True), bytes)
    await assert_type(asyncify(load)("k"), Coroutine[Any, Any, str])


def blocking_overloads() -> None:
    assert_type(syncify(async_load)(1), int)
    assert_type(syncify(async_load)("k", text=True), str)
    assert_type(syncify(async_func=async_load)(1), int)

"""asgiref. `thread_sensitive` is left as it is by default, except where a limit (an executor) is wanted, which excludes it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from asgiref.sync import async_to_sync, sync_to_async

from ..model import Async, Call, CoroutineFunction, Library, NotOffered, Sync


class AsgiRef(Library):
    name = "asgiref"
    distribution = "asgiref"
    used = (
        "`sync_to_async(func)`, with `thread_sensitive=False, executor=...` where a limit is wanted; "
        "`async_to_sync(async_func)`"
    )
    shared = "each call from plain code runs a loop of its own"

    def awaitable(self, func: Sync) -> Async:
        return sync_to_async(func)

    def limit(self, tokens: int) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(tokens)

    def limited(self, func: Sync, limit: Any) -> Async:
        return sync_to_async(func, thread_sensitive=False, executor=limit)

    def abandonable(self, func: Sync, limit: Any = None) -> Async:
        return self.awaitable(func) if limit is None else self.limited(func, limit)

    def below(self, func: CoroutineFunction) -> Sync:
        return async_to_sync(func)

    @contextmanager
    def opened(self) -> Iterator[Call]:
        yield lambda func, *args: async_to_sync(func)(*args)

    @contextmanager
    def closable(self) -> Iterator[Call]:
        raise NotOffered("each call from plain code runs a loop of its own")
        yield


LIBRARY = AsgiRef()

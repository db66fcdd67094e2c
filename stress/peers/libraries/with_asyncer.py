"""Asyncer. Outside of its worker threads, `raise_sync_error=False` runs each call on a loop of its own, on the same thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncer
from anyio import CapacityLimiter

from ..model import Async, Call, CoroutineFunction, Library, NotOffered, Sync


class Asyncer(Library):
    name = "asyncer"
    distribution = "asyncer"
    used = (
        "`asyncify(func)`; `syncify(async_func)` in its worker threads, `syncify(async_func, raise_sync_error=False)` elsewhere"
    )
    shared = "each call from plain code runs a loop of its own"
    trio = None

    def awaitable(self, func: Sync) -> Async:
        return asyncer.asyncify(func)

    def limit(self, tokens: int) -> CapacityLimiter:
        return CapacityLimiter(tokens)

    def limited(self, func: Sync, limit: Any) -> Async:
        return asyncer.asyncify(func, limiter=limit)

    def abandonable(self, func: Sync, limit: Any = None) -> Async:
        return asyncer.asyncify(func, abandon_on_cancel=True, limiter=limit)

    def passing_on(self, func: Sync) -> Async:
        return self.abandonable(func)  # the other form shields what is below

    def below(self, func: CoroutineFunction) -> Sync:
        return asyncer.syncify(func)

    @contextmanager
    def opened(self) -> Iterator[Call]:
        yield lambda func, *args: asyncer.syncify(func, raise_sync_error=False)(*args)

    @contextmanager
    def closable(self) -> Iterator[Call]:
        raise NotOffered("each call from plain code runs a loop of its own")
        yield


LIBRARY = Asyncer()

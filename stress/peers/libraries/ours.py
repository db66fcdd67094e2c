"""`asyncify` and `syncify`. Closing is AnyIO's: a portal of the user's own, stopped with what runs on it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from anyio import CapacityLimiter

from gllm_core.concurrency import BlockedLoopWarning, ReentrantCallWarning, asyncify, syncify

from ..model import Async, Call, CoroutineFunction, Library, Sync
from .with_anyio import portal_that_cancels

# Both are there to be seen by a developer; what is looked at here is what happens besides.
for _category in (BlockedLoopWarning, ReentrantCallWarning):
    warnings.simplefilter("ignore", _category)


class Ours(Library):
    name = "gllm_core.concurrency"
    distribution = "gllm-core-concurrency"
    used = (
        "`asyncify(func)`, `syncify(async_func)` on the default portal; "
        "`syncify(async_func, portal=portal)` where one is closed"
    )
    shared = None
    trio = None

    def awaitable(self, func: Sync) -> Async:
        return asyncify(func)

    def limit(self, tokens: int) -> CapacityLimiter:
        return CapacityLimiter(tokens)

    def limited(self, func: Sync, limit: Any) -> Async:
        return asyncify(func, limiter=limit)

    def abandonable(self, func: Sync, limit: Any = None) -> Async:
        return asyncify(func, cancellable=True, limiter=limit)

    def below(self, func: CoroutineFunction) -> Callable[..., Any]:
        return syncify(func)

    @contextmanager
    def opened(self) -> Iterator[Call]:
        yield lambda func, *args: syncify(func)(*args)

    def closable(self) -> AbstractContextManager[Call]:
        return self._closable()

    @contextmanager
    def _closable(self) -> Iterator[Call]:
        with portal_that_cancels() as portal:
            yield lambda func, *args: syncify(func, portal=portal)(*args)


LIBRARY = Ours()

"""AnyIO itself. A portal's `with` block would wait for the calls in flight; stopped with `cancel_remaining`, it ends them."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from anyio import CapacityLimiter, from_thread, to_thread
from anyio.from_thread import BlockingPortal, start_blocking_portal

from ..model import Async, Call, CoroutineFunction, Library, Sync


@contextmanager
def portal_that_cancels() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as portal:
        try:
            yield portal
        finally:
            with suppress(RuntimeError):  # it is not running any more
                portal.call(portal.stop, True)


class AnyIO(Library):
    name = "anyio"
    distribution = "anyio"
    used = (
        "`to_thread.run_sync`, `from_thread.run`, `start_blocking_portal` with `portal.call`, "
        "closed by `portal.stop(cancel_remaining=True)`"
    )
    trio = None

    def awaitable(self, func: Sync) -> Async:
        return functools.partial(to_thread.run_sync, func)

    def limit(self, tokens: int) -> CapacityLimiter:
        return CapacityLimiter(tokens)

    def limited(self, func: Sync, limit: Any) -> Async:
        return functools.partial(to_thread.run_sync, func, limiter=limit)

    def abandonable(self, func: Sync, limit: Any = None) -> Async:
        return functools.partial(to_thread.run_sync, func, abandon_on_cancel=True, limiter=limit)

    def passing_on(self, func: Sync) -> Async:
        return self.abandonable(func)  # the other form shields what is below

    def below(self, func: CoroutineFunction) -> Sync:
        return functools.partial(from_thread.run, func)

    @contextmanager
    def closable(self) -> Iterator[Call]:
        with portal_that_cancels() as portal:
            yield portal.call


LIBRARY = AnyIO()

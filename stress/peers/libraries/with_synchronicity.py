"""synchronicity. One `Synchronizer` for the program; it closes its loop at exit."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from synchronicity import Synchronizer

from ..model import Call, CoroutineFunction, Library, NotOffered

synchronizer = Synchronizer()


def _function(func: CoroutineFunction) -> CoroutineFunction:
    """A plain function, as a bound method is not wrapped."""
    if inspect.isfunction(func):
        return func

    async def call(*args: Any) -> Any:
        return await func(*args)

    return call


class Synchronicity(Library):
    name = "synchronicity"
    distribution = "synchronicity"
    used = "`Synchronizer().wrap(async_func)`, called"
    shared = None

    @contextmanager
    def opened(self) -> Iterator[Call]:
        yield lambda func, *args: synchronizer.wrap(_function(func))(*args)

    @contextmanager
    def closable(self) -> Iterator[Call]:
        raise NotOffered("its loop is closed by the interpreter's exit alone")
        yield


LIBRARY = Synchronicity()

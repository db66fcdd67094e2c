"""fsspec. `get_loop` is asked for at each call, as its documentation does; it is anew in a forked child."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fsspec.asyn import get_loop, sync

from ..model import Call, Library, NotOffered


class FsSpec(Library):
    name = "fsspec"
    distribution = "fsspec"
    used = "`fsspec.asyn.sync(fsspec.asyn.get_loop(), async_func)`"
    shared = None

    @contextmanager
    def opened(self) -> Iterator[Call]:
        yield lambda func, *args: sync(get_loop(), func, *args)

    @contextmanager
    def closable(self) -> Iterator[Call]:
        raise NotOffered("its loop is never closed")
        yield


LIBRARY = FsSpec()

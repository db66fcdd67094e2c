"""Runs the function, and swallows whatever cancels its awaiter meanwhile. At exit it complains."""

from __future__ import annotations

import asyncio
import atexit
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from peers.model import Async, Call, Library, Sync


class Losing(Library):
    name = used = "losing"

    def awaitable(self, func: Sync) -> Async:
        async def call(*args: Any) -> Any:
            running = asyncio.ensure_future(asyncio.to_thread(func, *args))
            while not running.done():
                try:
                    await asyncio.shield(running)
                except asyncio.CancelledError:
                    continue
            return running.result()

        return call

    @contextmanager
    def opened(self) -> Iterator[Call]:
        atexit.register(print, "it hurts", file=sys.stderr)
        yield lambda func, *args: asyncio.run(func(*args))


LIBRARY = Losing()

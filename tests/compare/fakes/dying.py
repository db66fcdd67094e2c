"""Ends the process where it should answer, or with a status of its own where that is over."""

from __future__ import annotations

import asyncio
import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from peers.model import Async, Call, Library, Sync


class Dying(Library):
    name = used = "dying"

    def awaitable(self, func: Sync) -> Async:
        async def call(*args: Any) -> Any:
            os._exit(7)

        return call

    @contextmanager
    def opened(self) -> Iterator[Call]:
        atexit.register(os._exit, 7)
        yield lambda func, *args: asyncio.run(func(*args))


LIBRARY = Dying()

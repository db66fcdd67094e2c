"""The kinds of event loop that asynchronous tests run on."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

Backend = tuple[str, dict[str, Any]]

BACKENDS: dict[str, Backend] = {
    "asyncio": ("asyncio", {}),
    "asyncio-debug": ("asyncio", {"debug": True}),
    "uvloop": ("asyncio", {"use_uvloop": True}),
    "trio": ("trio", {}),
}

if sys.version_info >= (3, 12):

    def _eager_loop() -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        loop.set_task_factory(asyncio.eager_task_factory)
        return loop

    BACKENDS["asyncio-eager"] = ("asyncio", {"loop_factory": _eager_loop})

"""How other threads wake an event loop: asyncio's own way, and the cheaper one, where the system has it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

import pytest

Wake = Callable[..., Any]


def wrap_ways_in(monkeypatch: pytest.MonkeyPatch, loop: asyncio.AbstractEventLoop, wrapper: Callable[[Wake], Wake]) -> None:
    """Have *wrapper* make what is called from now on to wake *loop*; a call takes one of the ways."""
    monkeypatch.setattr(loop, "call_soon_threadsafe", wrapper(loop.call_soon_threadsafe))
    if hasattr(os, "eventfd_write"):
        monkeypatch.setattr(os, "eventfd_write", wrapper(os.eventfd_write))


def note_wakes(monkeypatch: pytest.MonkeyPatch, loop: asyncio.AbstractEventLoop, note: Callable[[], object]) -> None:
    """Call *note* whenever another thread has woken *loop*."""

    def noted(wake: Wake) -> Wake:
        def woken(*args: Any, **kwargs: Any) -> Any:
            handle = wake(*args, **kwargs)
            note()
            return handle

        return woken

    wrap_ways_in(monkeypatch, loop, noted)

"""Event loops for the candidates: one in a thread, and the main thread's own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


@contextmanager
def loop_in_thread(factory: LoopFactory = asyncio.new_event_loop) -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that runs in a thread of its own until the block is left."""
    loop = factory()
    thread = threading.Thread(target=loop.run_forever, name="bench-loop", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

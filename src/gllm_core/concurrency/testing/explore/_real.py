"""The real primitives, as they were before anything was made virtual, and real threads whose very end can be awaited."""

from __future__ import annotations

import _thread
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from ..._threads import current_frames as frames_read_by

allocate_lock = _thread.allocate_lock
get_ident = _thread.get_ident
monotonic = time.monotonic
current_frames = partial(frames_read_by, sys._current_frames)  # pyright: ignore[reportPrivateUsage] # documented

_primitives: Any = _thread  # its names differ from one Python to the next, and typeshed follows at a distance


class OsThread:
    """A real thread. It counts as over only when the interpreter has let go of its thread-locals, too."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._handle: Any = None
        self._over: Any = None
        if sys.version_info >= (3, 13):
            self._handle = _start_joinable_thread(function, daemon=True)
            return
        ready = allocate_lock()
        ready.acquire()

        def body() -> None:
            self._over = _set_sentinel()
            self._over.acquire()
            ready.release()
            function()

        _start_new_thread(body, ())
        ready.acquire()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end. Returns whether it came in time."""
        if self._handle is not None:
            self._handle.join(timeout_s)
            return bool(self._handle.is_done())
        return bool(self._over.acquire(timeout=timeout_s))


_start_new_thread = _primitives.start_new_thread
_start_joinable_thread: Any = getattr(_primitives, "start_joinable_thread", None)
_set_sentinel = getattr(_primitives, "_set_sentinel", None) or allocate_lock

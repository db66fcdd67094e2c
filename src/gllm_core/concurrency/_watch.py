"""The dump that comes by itself, once for each call that takes longer than it should, where the user asked for it."""

from __future__ import annotations

import os
import sys
import threading
import time
import warnings
from contextlib import suppress

from ._dump import dump
from ._registry import registry

VARIABLE = "GLLM_CONCURRENCY_WATCH"
"""The environment variable that says after how many seconds a call is reported; 0 stands for never."""

DEV_MODE_S = 30.0
"""The same in Python's development mode, where the variable is not set."""


class Watch:
    """A daemonic thread, once something is used, that looks at the calls in flight."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._unstarted = [None]
        self._reported: set[tuple[int, float]] = set()

    def begin(self) -> None:
        try:
            self._unstarted.pop()
        except IndexError:
            return
        threading.Thread(target=self._run, name="gllm-watch", daemon=True).start()

    def rearm(self) -> None:
        """In a forked child: the thread stayed with the parent."""
        self._unstarted = [None]

    def _run(self) -> None:
        while True:
            time.sleep(self._limit_s / 4)
            self.look()

    def look(self) -> None:
        now = time.monotonic()
        calls = (*registry.blocking, *registry.steps, *registry.syncified())
        late = {(id(call), call.began_at): call.name for call in calls if now - call.began_at > self._limit_s}
        names = {repr(name) for key, name in late.items() if key not in self._reported}
        self._reported = set(late)
        if names and sys.stderr is not None:
            with suppress(OSError, ValueError):  # it is a pipe that nobody reads, or was closed: it may be replaced
                sys.stderr.write(f"in flight for more than {self._limit_s:g} s: {', '.join(sorted(names))}\n")
                dump()


def seconds_wanted(environment: str | None, *, dev_mode: bool) -> float | None:
    """After how long a call is to be reported; None: never."""
    if not environment:
        return DEV_MODE_S if dev_mode else None
    try:
        seconds = float(environment)
    except ValueError:
        seconds = -1.0
    if 0 <= seconds < threading.TIMEOUT_MAX:
        return seconds or None
    message = f"{VARIABLE}={environment!r} is ignored; set it to a number of seconds, or to 0"
    warnings.warn(message, RuntimeWarning, stacklevel=2)
    return None


def begin_watch() -> None:
    """Watch, if the environment asks for it: from the first use on, as an import starts no thread."""
    limit_s = seconds_wanted(os.environ.get(VARIABLE), dev_mode=sys.flags.dev_mode)
    if limit_s is None:
        return
    watcher = Watch(limit_s)
    registry.when_used = watcher.begin
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=watcher.rearm)

"""Faults: what the system does to a program on a bad day, done on purpose and counted."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

THREAD_START_CHANCES = (0.0, 0.0, 0.1, 0.5)
"""From which the seed chooses one: how likely it is that a thread of the library or of AnyIO cannot be started."""

SLOW_THREAD_CHANCES = (0.0, 0.3)
"""From which the seed chooses one: how likely it is that such a thread comes to life late."""

SLOWEST_S = 0.01

OURS = ("gllm-", "AnyIO worker thread")
"""How the names of the threads begin that faults happen to."""


class Faults:
    """What goes wrong in one round. `counts` says how often, by kind."""

    def __init__(self, chosen: random.Random) -> None:
        self._random = chosen
        self.counts: dict[str, int] = {}

    def count(self, kind: str) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + 1

    @contextmanager
    def of_threads(self, *, may_fail: bool) -> Generator[bool]:
        """Meanwhile the library's threads may start late; or, if *may_fail*, not at all. Says whether they may."""
        fails = self._random.choice(THREAD_START_CHANCES) if may_fail else 0.0
        late = self._random.choice(SLOW_THREAD_CHANCES)
        start: Any = threading.Thread.start

        def faulty_start(thread: threading.Thread) -> None:
            if thread.name.startswith(OURS):
                chance = self._random.random()
                if chance < fails:
                    self.count("thread start fails")
                    raise RuntimeError("can't start new thread")
                if chance > 1 - late:
                    self.count("slow thread")
                    _delay(thread, self._random.random() ** 2 * SLOWEST_S)
            start(thread)

        if (not fails and not late) or hasattr(start, "faulty"):  # somebody else's faults are enough
            yield False
            return
        faulty_start.faulty = True  # type: ignore[attr-defined] # how others know
        setattr(threading.Thread, "start", faulty_start)  # noqa: B010 # an assignment is refused by type checkers
        try:
            yield fails > 0
        finally:
            setattr(threading.Thread, "start", start)  # noqa: B010 # as above

    def starve(self) -> None:
        """Block the thread that runs this, and its loop with it, for a moment."""
        self.count("starved loop")
        time.sleep(self._random.random() * SLOWEST_S / 2)


def _delay(thread: threading.Thread, delay_s: float) -> None:
    run: Callable[[], None] = thread.run

    def late_run() -> None:
        time.sleep(delay_s)
        vars(thread).pop("run", None)
        run()

    setattr(thread, "run", late_run)  # noqa: B010 # as above

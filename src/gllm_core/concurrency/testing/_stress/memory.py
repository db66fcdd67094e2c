"""The resident memory of the process that makes the calls, after its first rounds and since."""

from __future__ import annotations

import gc
import sys
from importlib import import_module
from typing import Any

WARM_UP_ROUNDS = 20
"""After how many rounds the memory that is in use counts as the beginning."""


def in_use() -> int:
    """The resident memory of this process in bytes; its highest so far where the system only says that; else 0."""
    try:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmRSS:"))
    except (OSError, StopIteration):
        pass
    try:
        resource: Any = import_module("resource")
    except ImportError:
        return 0
    highest: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return highest if sys.platform == "darwin" else highest * 1024


class Memory:
    """Looks between the rounds."""

    def __init__(self) -> None:
        self._beginning = 0
        self.highest = 0
        """By how much it had grown at its highest, in bytes."""

    def after_round(self, done: int) -> None:
        """*done*: how many rounds are."""
        if done == WARM_UP_ROUNDS:
            gc.collect()
            self._beginning = in_use()
        elif done > WARM_UP_ROUNDS:
            self.highest = max(self.highest, in_use() - self._beginning)

    def grown(self) -> int:
        """By how much it has grown since the first rounds, in bytes; 0 if there were no more than those."""
        gc.collect()
        return in_use() - self._beginning if self._beginning else 0

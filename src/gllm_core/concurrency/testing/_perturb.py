"""perturb: the same program, on a scheduler that has a bad day."""

from __future__ import annotations

import gc
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Generator
from types import CodeType, FrameType
from typing import Any

from ._blocks import block

SWITCH_INTERVALS_S = (1e-6, 1e-5, 1e-4, 5e-3)
"""From which the seed chooses one: how long a thread may run before another gets its turn, in seconds."""

PAUSE_CHANCES = (0.0, 0.0, 0.002, 0.02)
"""From which the seed chooses one: how likely a pause is at each line of the library."""

GARBAGE_CHANCES = (0.0, 0.0, 0.0005)
"""From which the seed chooses one: how likely a garbage collection is at each line of the library."""

LONGEST_PAUSE_S = 0.002

_LIBRARY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_MONITORING_TOOL = 4
"""One of the two that PEP 669 leaves to nobody in particular."""


class Perturbation:
    """What the seed chose. `how` says how lines are watched; `paused` and `collected` count what was done."""

    def __init__(self, seed: int | str) -> None:
        self.seed = seed
        self._random = random.Random(f"perturb {seed}")
        self.switch_interval_s: float = self._random.choice(SWITCH_INTERVALS_S)
        self.pause_chance: float = self._random.choice(PAUSE_CHANCES)
        self.garbage_chance: float = self._random.choice(GARBAGE_CHANCES)
        self.how = "nobody"
        self.active = True
        self.paused: int = 0
        self.collected: int = 0

    def __str__(self) -> str:
        return (
            f"switch interval {self.switch_interval_s:g} s, pauses {self.pause_chance:g}, "
            f"garbage {self.garbage_chance:g} a line, watched by {self.how}"
        )

    def at_line(self) -> None:
        """A scheduling point: maybe others get their turn, maybe garbage is collected."""
        chance = self._random.random()
        if not self.active:
            return
        if chance < self.pause_chance:
            self.paused += 1
            # Mostly just the others' turn, now and then long enough for a whole call.
            time.sleep(0 if chance < self.pause_chance / 2 else self._random.random() ** 4 * LONGEST_PAUSE_S)
        elif chance > 1 - self.garbage_chance:
            self.collected += 1
            gc.collect(self._random.randrange(3))


def of_library(filename: str) -> bool:
    """Whether *filename* is the library's own: in its folder, not in that of its harness."""
    return os.path.dirname(filename) == _LIBRARY


@block
def perturb(seed: int | str, *, lines: bool = True) -> Generator[Perturbation]:
    """Disturb the scheduling of the block, as *seed* says: what goes wrong once in a month goes wrong in seconds.

    The seed chooses the interpreter's switch interval, which all code feels, and how likely a pause or a garbage collection is
    at each line of `gllm_core.concurrency` that any thread runs. Lines of other modules are not watched.

    Args:
        seed: the same choices for the same seed; which thread comes to a line when is the machine's.
        lines: whether to watch lines at all; if not, there is the switch interval alone, and nothing gets slower.

    Returns:
        What was chosen, and counts of what was done.

    **Threads:** acts on all threads; from Python 3.12 on through `sys.monitoring`. On 3.11 lines are watched through
    `sys.settrace`, which threads that run already do not see; where that is taken, by coverage or a debugger, through
    `sys.setprofile`, which sees functions, not lines. One at a time.

    Example:
        >>> from gllm_core.concurrency import syncify
        >>> import anyio
        >>> with perturb(7):
        ...     syncify(anyio.sleep)(0)
    """
    chosen = Perturbation(seed)
    interval_s = sys.getswitchinterval()
    watched = lines and (chosen.pause_chance or chosen.garbage_chance)
    stop_watching = _watch(chosen) if watched else None
    sys.setswitchinterval(chosen.switch_interval_s)
    try:
        yield chosen
    finally:
        sys.setswitchinterval(interval_s)
        if stop_watching is not None:
            stop_watching()


def _watch(chosen: Perturbation) -> Callable[[], object]:
    """Have `at_line` called. Returns what ends that."""
    if sys.version_info >= (3, 12):
        if sys.monitoring.get_tool(_MONITORING_TOOL) is None:
            return _watch_by_monitoring(chosen)
    elif sys.gettrace() is None:
        return _watch_by_trace(chosen)
    return _watch_by_profile(chosen)


def _watch_by_monitoring(chosen: Perturbation) -> Callable[[], object]:
    chosen.how = "sys.monitoring"
    monitoring: Any = vars(sys)["monitoring"]  # from 3.12 on; the caller looks

    def at_line(code: CodeType, line: int) -> object:
        if not of_library(code.co_filename):
            return monitoring.DISABLE
        chosen.at_line()
        return None

    monitoring.use_tool_id(_MONITORING_TOOL, "gllm_core.concurrency.testing.perturb")
    monitoring.register_callback(_MONITORING_TOOL, monitoring.events.LINE, at_line)
    monitoring.set_events(_MONITORING_TOOL, monitoring.events.LINE)

    def stop() -> None:
        monitoring.set_events(_MONITORING_TOOL, 0)
        monitoring.register_callback(_MONITORING_TOOL, monitoring.events.LINE, None)
        monitoring.free_tool_id(_MONITORING_TOOL)
        monitoring.restart_events()  # lines disabled for us are not for the next one

    return stop


def _watch_by_trace(chosen: Perturbation) -> Callable[[], object]:
    chosen.how = "sys.settrace"

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        if event == "call" and not of_library(frame.f_code.co_filename):
            return None
        if event == "line":
            chosen.at_line()
        return trace

    threading.settrace(trace)
    sys.settrace(trace)

    def stop() -> None:
        threading.settrace(None)  # type: ignore[arg-type,unused-ignore] # None stands for none
        sys.settrace(None)
        chosen.active = False  # threads that go on are still traced

    return stop


def _watch_by_profile(chosen: Perturbation) -> Callable[[], object]:
    chosen.how = "sys.setprofile"
    former: Any = sys.getprofile()

    def profile(frame: FrameType, event: str, _argument: object) -> None:
        if event in ("call", "return") and of_library(frame.f_code.co_filename):
            chosen.at_line()

    threading.setprofile(profile)
    sys.setprofile(profile)

    def stop() -> None:
        threading.setprofile(former)
        sys.setprofile(former)
        chosen.active = False

    return stop

"""A controlled thread, what it can wait for, and who chooses the next one."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from ._choices import Choice
from ._real import OsThread
from ._real import allocate_lock as real_allocate_lock

if TYPE_CHECKING:
    from ._scheduler import Run


class State(enum.Enum):
    READY = enum.auto()
    BLOCKED = enum.auto()
    DONE = enum.auto()


class Waitable(Protocol):
    """What a thread can wait for."""

    def describe(self) -> str: ...

    def cancel_wait(self, actor: Actor) -> None:
        """The wait timed out."""


class Chooser(Protocol):
    """A strategy, as a run sees it."""

    def choose(self, position: int, choice: Choice, step: int) -> int:
        """The index of the option to take."""
        ...


class Actor:
    """One controlled thread."""

    def __init__(self, run: Run, index: int, name: str, daemon: bool) -> None:
        self.run = run
        self.index = index
        self.name = name
        self.daemon = daemon
        self.ident = 0
        self.state = State.READY
        self.waits_for: Waitable | None = None
        self.deadline: float | None = None
        self.timed_out = False
        self.stretch = self.polls = self.kills = 0
        """Points and polls since another thread ran; how often it was told that the run is over."""
        self.joiners: list[Actor] = []
        self.on_done: Callable[[], object] | None = None
        self.os_thread: OsThread | None = None
        self.gate = real_allocate_lock()
        self.gate.acquire()
        self.retired = real_allocate_lock()
        """Held until the run is over, so that no identifier is used twice in one run."""
        self.retired.acquire()
        self.exited = real_allocate_lock()
        self.exited.acquire()

    def describe(self) -> str:
        return f"the end of thread {self.name!r}"

    def cancel_wait(self, actor: Actor) -> None:
        self.joiners.remove(actor)

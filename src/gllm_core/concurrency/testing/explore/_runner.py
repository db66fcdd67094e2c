"""Runs schedules, one after the other, and cleans up behind each."""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from . import _patches, _threads, _world
from ._actors import Actor, Chooser, State
from ._choices import Choice, encode
from ._fresh import Fresh
from ._hush import Hush
from ._lines import make_lines
from ._real import current_frames
from ._report import Finding, Kind
from ._scheduler import Run
from ._where import describe

KILL_GRACE_S = 2.0
"""How long a thread has to unwind when its run is over, in seconds."""
LOOKS = 20
"""How many looks make up a wait: on a machine that is busy elsewhere, this thread starves with those that it watches."""


@dataclass(frozen=True)
class Settings:
    """What a scenario is run with. A replay needs the same ones."""

    modules: tuple[str, ...] = ()
    fresh: tuple[str, ...] = ()
    opcodes: bool = False
    faults: frozenset[str] = frozenset()
    max_steps: int = 20_000
    daemons_may_stay: bool = True
    stall_s: float = 5.0


@dataclass
class Outcome:
    """What came of one schedule."""

    choices: list[Choice]
    taken: list[int]
    steps: int
    finding: Finding | None
    was_calm: bool = False
    """Whether a part of it was to pass without a choice."""
    notes: list[str] = field(default_factory=lambda: [])

    @property
    def schedule(self) -> str:
        return encode(self.taken, self.choices)


class Runner:
    """Use as a context manager: inside, the primitives are virtual for the threads of its runs."""

    _busy = False

    def __init__(self, scenario: Callable[[], object], settings: Settings) -> None:
        self._scenario = scenario
        self._settings = settings
        self._lines = make_lines(settings.modules, opcodes=settings.opcodes)
        self._fresh = Fresh(settings.fresh)
        self._patches = _patches.Patches()
        self._hush = Hush()
        self._gc_was_on = False

    def __enter__(self) -> Runner:
        if Runner._busy or _world.here() is not None:
            raise RuntimeError("an exploration is running in this process already; one at a time")
        Runner._busy = True
        self._gc_was_on = gc.isenabled()
        gc.disable()
        gc.freeze()  # so that the collections between the runs look at nothing but the runs' own garbage
        self._patches = _patches.install(self._lines)
        self._lines.install()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._lines.remove()
        self._patches.undo()
        gc.unfreeze()
        if self._gc_was_on:
            gc.enable()
        Runner._busy = False

    @property
    def met(self) -> bool:
        """Whether any code of the named modules was seen so far."""
        return self._lines.met

    def run(self, chooser: Chooser, *, narrate: bool = False) -> Outcome:
        """Run one schedule."""
        settings = self._settings
        run = Run(chooser, max_steps=settings.max_steps, faults=settings.faults, daemons_may_stay=settings.daemons_may_stay)
        run.before_unwinding = self._hush.begin
        notes: list[str] = []
        if narrate:
            run.observe = lambda actor, choice, index: notes.append(_note(run, actor, choice, index)) if index else None
        patches = _patches.prepare(run)
        self._fresh.hide()
        try:
            first = _threads.launch(run, lambda: _threads.run_as_thread(run, self._scenario), "scenario", False, self._lines)
            run.current = first
            first.gate.release()
            self._watch(run)
        finally:
            self._clean_up(run)
            self._fresh.show()
            patches.undo()
        finding = run.finding
        if finding is not None:
            finding = replace(finding, schedule=encode(run.taken, run.choices))
        return Outcome(run.choices, run.taken, run.steps, finding, run.was_calm, notes)

    def _watch(self, run: Run) -> None:
        """Wait for the end of the run; or see that nothing moves, though somebody has the baton."""
        before = still = -1
        while not run.finished.acquire(timeout=self._settings.stall_s / LOOKS):
            now = run.steps + run.switches
            still = still + 1 if now == before else 0
            if still >= LOOKS and run.current is not None:
                place = describe(current_frames().get(run.current.ident))
                self._hush.begin(run)
                run.over = True
                run.finding = Finding(
                    Kind.UNCONTROLLED,
                    f"uncontrolled blocking at {place}: thread {run.current.name!r} did not reach a scheduling point for "
                    f"{self._settings.stall_s:g} s; it waits for something real, or computes. A lock that a module made at "
                    "import is real: make it in the scenario; or import its module there, and name that in fresh=[...]",
                )
                _world.abandoned.add(run.current.ident)
                return
            before = now

    def _clean_up(self, run: Run) -> None:
        run.over = True
        try:
            if run.left_behind or any(actor.state is not State.DONE for actor in run.actors):
                self._hush.begin(run)
            _end_threads(run)
            for loop in run.loops:
                _close(loop)
            run.loops.clear()
            if run.finding is not None and run.finding.error is not None:
                run.finding.error.__traceback__ = None  # it holds the whole world of the run
            gc.collect()
            gc.freeze()  # what is left is the record of the search, which the next collection need not look at
        finally:
            self._hush.end()


def _end_threads(run: Run) -> None:
    """One after the other: first the one that ended the run, which may be unwinding, then those that wait."""
    first = [] if run.current is None else [run.current]
    for actor in (*first, *(other for other in run.actors if other is not run.current)):
        if actor.ident in _world.abandoned:
            continue
        if actor is not run.current:
            actor.gate.release()
        if not any(actor.exited.acquire(timeout=KILL_GRACE_S / LOOKS) for _ in range(LOOKS)):
            _world.abandoned.add(actor.ident)
    _world.actors.clear()
    _patches.purge(run)  # before they retire, and others get their identifiers
    for actor in run.actors:
        actor.retired.release()
    for actor in run.actors:
        if actor.os_thread is not None and actor.ident not in _world.abandoned:
            any(actor.os_thread.join(KILL_GRACE_S / LOOKS) for _ in range(LOOKS))


def _close(loop: Any) -> None:
    if not loop.is_closed():
        loop._thread_id = None  # its thread was cut off in the middle
        loop._ready.clear()
        loop._scheduled.clear()
        with suppress(AttributeError):  # its `__init__` was cut off before the last attributes
            loop.close()


def _note(run: Run, actor: Actor, choice: Choice, index: int) -> str:
    option = choice.options[index]
    place = describe(current_frames().get(actor.ident))
    at = f"{len(run.taken):4d}. {actor.index} {actor.name!r} at {place} ({choice.where})"
    if choice.kind == "fault":
        return f"{at}: FAILS (injected)"
    other = run.actors[option if option >= 0 else ~option]
    there = describe(current_frames().get(other.ident))
    verb = "preempted by" if choice.preempts(index) else "followed by"
    return f"{at}: {verb} {other.index} {other.name!r} at {there}{', whose time is over' if option < 0 else ''}"

"""Sections of a scenario that are not what it is about."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from . import _world


@contextmanager
def calm() -> Generator[None]:
    """Inside the block, the scenario has one schedule: threads go on until they wait, then the next one in turn; no faults.

    For what comes before a race and after it: a portal that is started first, its end. The schedules of the rest are explored
    as ever, and the verdict says that there was such a section. Outside an exploration, it does nothing.

    **Threads:** holds for all threads of the scenario, until all such blocks are left.
    """
    actor = _world.here()
    if actor is None:
        yield
        return
    run = actor.run
    run.calm += 1
    run.was_calm = True
    try:
        yield
    finally:
        run.calm -= 1
        if not run.calm and not run.over:
            run.point(actor, "calm")

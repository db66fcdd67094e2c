"""Virtual time: it stands still while anybody can run, then goes on to the earliest deadline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import _world
from ._actors import Actor


class _Sleep:
    """What a sleeping thread waits for."""

    def describe(self) -> str:
        return "the end of a sleep"

    def cancel_wait(self, actor: Actor) -> None:
        """A sleep ends by its time only."""


_SLEEP = _Sleep()


def clock(real: Callable[[], float], origin: float = 0.0) -> Callable[[], float]:
    """A clock that shows a run's time to its threads, and the real one to all others."""

    def read() -> float:
        actor = _world.here()
        return real() if actor is None else origin + actor.run.clock

    return read


def clock_ns(real: Callable[[], int], origin: float = 0.0) -> Callable[[], int]:
    """The same, in nanoseconds."""

    def read() -> int:
        actor = _world.here()
        return real() if actor is None else int((origin + actor.run.clock) * 1e9)

    return read


def sleep(real: Callable[[Any], None]) -> Callable[[Any], None]:
    """`time.sleep` in virtual time. A sleep of zero is a poll."""

    def virtual(seconds: Any, /) -> None:
        actor = _world.here()
        if actor is None:
            real(seconds)
        elif seconds < 0:
            raise ValueError("sleep length must be non-negative")
        elif seconds == 0:
            actor.run.point(actor, "sleep", polls=True)
        else:
            actor.run.block(actor, _SLEEP, actor.run.clock + seconds)

    return virtual

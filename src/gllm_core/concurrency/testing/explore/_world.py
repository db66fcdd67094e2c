"""Which run is going on, and whether the thread that asks belongs to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._real import get_ident

if TYPE_CHECKING:
    from ._actors import Actor

actors: dict[int, Actor] = {}
"""The controlled threads of the run that is going on, by identifier. Threads that are not in it get the real primitives."""

abandoned: set[int] = set()
"""Identifiers of threads that a run had to leave behind, blocked in something real: what they touch next ends them."""


class Killed(BaseException):
    """Raised in controlled threads when their run is over. No SystemExit: code may have plans of its own for that."""


def here() -> Actor | None:
    """The controlled thread that asks, if it is one."""
    return actors.get(get_ident())

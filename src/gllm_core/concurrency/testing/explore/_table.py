"""Who waits for what: the table of a deadlock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._locks import VirtualLock
from ._real import current_frames
from ._where import describe, short

if TYPE_CHECKING:
    from ._actors import Actor
    from ._scheduler import Run


def _waits_for(actor: Actor) -> str:
    what = actor.waits_for
    if what is None:
        return "nothing: it can run"
    holder = what.holder if type(what) is VirtualLock else None
    by = f", held by {holder.name!r}" if holder is not None else ""
    until = "" if actor.deadline is None else f", at most until {actor.deadline - actor.run.clock:g} s from now"
    return f"{short(what.describe())}{by}{until}"


def who_waits_for_what(run: Run) -> str:
    """A line for each thread that is not over: its name, what it waits for, and where."""
    frames = current_frames()
    rows = [("thread", "waits for", "at")]
    for actor in run.actors:
        if actor.state.name != "DONE":
            name = f"{actor.index} {actor.name}{' (daemon)' if actor.daemon else ''}"
            rows.append((name, _waits_for(actor), describe(frames.get(actor.ident))))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    return "\n".join(f"  {a:<{widths[0]}}  {b:<{widths[1]}}  {c}" for a, b, c in rows)

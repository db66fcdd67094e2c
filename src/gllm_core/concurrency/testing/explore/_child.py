"""What a forked child finds: memory as it was at that moment, one thread, and locks that nobody will ever release."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from . import _world
from ._actors import State

Handler = Callable[[], object]


def become_child() -> None:
    """Go on as the only thread of a forked child: all other threads of the scenario stop for good, wherever they are.

    The handlers run that code under control has registered with `os.register_at_fork`: those for before the fork, at which the
    others may still come first, then those for the child. Modules that are loaded anew in each schedule register theirs; those
    of the standard library are not run. `os.getpid` tells another number from then on.

    What is *not* shown: the parent, which goes on; C code; the descriptors that a child shares with it.

    Raises:
        RuntimeError: outside of an exploration.

    **Threads:** any thread of the scenario.
    """
    actor = _world.here()
    if actor is None:
        raise RuntimeError("become_child() works in an exploration only; elsewhere, use os.fork()")
    run = actor.run
    for before, _ in reversed(run.fork_handlers):
        if before is not None:
            before()
    run.point(actor, "fork")
    left = [other for other in run.actors if other is not actor and other.state is not State.DONE]
    for other in left:
        other.state = State.DONE
    run.left_behind.update(left)
    idents = {other.ident for other in left}
    active: dict[int, Any] = vars(threading)["_active"]
    limbo: dict[Any, Any] = vars(threading)["_limbo"]
    for ident in idents:
        active.pop(ident, None)
    for thread in [thread for thread in limbo if thread.ident in idents]:
        del limbo[thread]
    for other in left:
        if other.on_done is not None:
            other.on_done()
    for _, in_child in run.fork_handlers:
        if in_child is not None:
            in_child()


def register_at_fork(real: Callable[..., None]) -> Callable[..., None]:
    """`os.register_at_fork`, for this run only where a controlled thread calls it."""

    def register(
        *, before: Handler | None = None, after_in_child: Handler | None = None, after_in_parent: Handler | None = None
    ) -> None:
        actor = _world.here()
        if actor is not None:
            actor.run.fork_handlers.append((before, after_in_child))
            return
        given = {"before": before, "after_in_child": after_in_child, "after_in_parent": after_in_parent}
        real(**{name: handler for name, handler in given.items() if handler is not None})

    return register


def getpid(real: Callable[[], int]) -> Callable[[], int]:
    def read() -> int:
        actor = _world.here()
        return real() if actor is None else real() + len(actor.run.left_behind)

    return read

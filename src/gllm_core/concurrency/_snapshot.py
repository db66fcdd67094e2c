"""in_flight: every bridge call that somebody waits for right now."""

from __future__ import annotations

import threading
import time

from ._registry import CallInFlight, Direction, InFlight, registry


def in_flight() -> tuple[CallInFlight, ...]:
    """What bridge calls are in flight in this process right now, in both directions, the oldest first.

    A function whose awaiter has left is among them until it returns. The snapshot does not change any more, and it keeps
    nothing of the calls alive.

    **Threads:** may be called from any thread, on or off a loop, and from a signal handler: it takes no lock that a call holds.

    Example:
        >>> import anyio
        >>> async def look() -> str:
        ...     (call,) = in_flight()
        ...     return f"{call.direction} of {call.function!r} is {call.state} on {call.portal}"
        >>> from gllm_core.concurrency import syncify
        >>> syncify(look)()
        "syncify of 'look' is running on gllm-default-portal"
    """
    names = thread_names()
    blocking, waiting = list(registry.blocking), (*registry.steps, *registry.syncified())
    now = time.monotonic()  # one for all, or a call would be older than one that began before it
    seen = [snapshot_of(call, "asyncify", names, now) for call in blocking]
    seen += [snapshot_of(call, "syncify", names, now) for call in waiting]
    return tuple(sorted(seen, key=_age, reverse=True))


def snapshot_of(call: InFlight, direction: Direction, names: dict[int | None, str], now: float) -> CallInFlight:
    """*names*: those of the threads, by their identifiers; *now*: on the clock that `began_at` is read from."""
    return CallInFlight(
        function=call.name,
        direction=direction,
        state=call.state,
        age=now - call.began_at,
        thread=None if call.thread_id is None else names.get(call.thread_id, f"thread {call.thread_id}"),
        thread_id=call.thread_id,
        portal=None if direction == "asyncify" else getattr(call, "portal_name", None),
    )


def thread_names() -> dict[int | None, str]:
    return {thread.ident: thread.name for thread in threading.enumerate()}


def _age(call: CallInFlight) -> float:
    return call.age

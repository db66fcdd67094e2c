"""fresh_portal: a default portal that only this block uses."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from anyio.from_thread import BlockingPortal

from gllm_core.concurrency import get_default_portal

from . import _inside

GRACE_S = 10.0
"""How long the calls that the block leaves in flight may take to end, once cancelled, in seconds."""


@contextmanager
def fresh_portal(*, grace_s: float = GRACE_S) -> Generator[BlockingPortal]:
    """Give the block a default portal of its own, started now and gone afterwards, reserve portals included.

    The default portal of before is set aside, untouched, and is the default again afterwards.

    Args:
        grace_s: how long the calls that the block leaves in flight may take to end, once cancelled, in seconds.

    Returns:
        The new default portal, as `get_default_portal` does.

    Raises:
        RuntimeError: afterwards, if a call of the block resists its cancellation for longer than *grace_s*.

    **Threads:** the default portal is the process's; calls of all threads go to the new one meanwhile. One at a time.

    Example:
        >>> from gllm_core.concurrency import get_default_portal
        >>> with fresh_portal() as portal:
        ...     portal is get_default_portal()
        True
        >>> portal is get_default_portal()
        False
    """
    registry = _inside.portals()
    with registry._lock:
        aside = registry._default, registry.dispatcher, registry._reserve, registry._leased
        before = tuple(registry._started)
        registry._default = registry.dispatcher = None
        registry._reserve, registry._leased = [], set()
    try:
        yield get_default_portal()
    finally:
        with registry._lock:
            started = [server for server in registry._started if server not in before]
            registry._default, registry.dispatcher, registry._reserve, registry._leased = aside
        left = _inside.stop(started, grace_s)
        with registry._lock:
            # What could not be stopped stays listed: the interpreter's exit tries again.
            registry._started = [server for server in registry._started if server not in started or not server.ended]
        if left:
            raise RuntimeError(f"still running {grace_s:g} s after their portal was stopped: {', '.join(left)}")

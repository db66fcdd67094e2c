"""fresh_portal: a default portal that only this block uses."""

from __future__ import annotations

from collections.abc import Generator

from anyio.from_thread import BlockingPortal

from gllm_core.concurrency import get_default_portal

from . import _inside
from ._arguments import refuse_number
from ._blocks import block

GRACE_S = 10.0
"""How long the calls that the block leaves in flight may take to end, once cancelled, in seconds."""


@block
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
    refuse_number("fresh_portal()", "grace_s", grace_s, "seconds", zero=True)
    registry = _inside.portals()
    before = tuple(registry._started)
    aside = registry._default, registry.dispatcher, registry.reserve
    registry.begin_anew()
    try:
        yield get_default_portal()
    finally:
        started = [server for server in list(registry._started) if server not in before]
        registry._default, registry.dispatcher, registry.reserve = aside
        left = _inside.stop(started, grace_s)
        registry.forget_ended()  # what could not be stopped stays listed: the interpreter's exit tries again
        if left:
            raise RuntimeError(f"still running {grace_s:g} s after their portal was stopped: {', '.join(left)}")

"""What a call held is let go of when it returns, wherever the other thread is by then."""

from __future__ import annotations

import weakref
from collections.abc import Callable

import anyio.lowlevel

from gllm_core.concurrency.testing.explore import calm

from .calls import CALL, about_to_stop
from .model import scenario


class _Thing:
    """An argument, or a value, that tells whether somebody keeps it."""


async def _another(_: _Thing) -> _Thing:
    await anyio.lowlevel.checkpoint()
    return _Thing()


def _lets_go(call: Callable[[_Thing], _Thing]) -> None:
    given = _Thing()
    value = call(given)
    kept = weakref.ref(given), weakref.ref(value)
    del given, value
    assert [thing() for thing in kept] == [None, None]


@scenario(*CALL, preemptions=2, quick=True)
def call_that_lets_go() -> None:
    """As soon as a caller has its answer, the loop's side keeps neither argument nor value, at whatever step it is."""
    from gllm_core.concurrency import syncify

    with calm():
        call = syncify(_another)
        call(_Thing())
    _lets_go(call)


@scenario(*CALL, actors=3)
def call_that_lets_go_of_a_portal_that_stops() -> None:
    """The same where the portal is being stopped, and the call may be made anew on the next one."""
    from gllm_core.concurrency import get_default_portal, syncify

    with calm():
        call = syncify(_another)
        call(_Thing())
        about_to_stop(get_default_portal())
    _lets_go(call)

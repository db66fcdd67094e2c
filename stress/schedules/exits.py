"""The interpreter's exit shuts the portals down, whatever goes on there."""

from __future__ import annotations

import contextlib
from concurrent.futures import CancelledError

import anyio
import anyio.lowlevel

from gllm_core.concurrency.testing.explore import calm

from .calls import PORTAL, _one_more
from .model import scenario, together


@scenario(*PORTAL, actors=3)
def call_against_exit() -> None:
    """The interpreter's exit shuts the portals down while a call comes."""
    from gllm_core.concurrency import PortalNotRunningError, _portal, syncify

    with calm():
        once = syncify(_one_more)
        assert once(0) == 1

    def call() -> None:
        with contextlib.suppress(PortalNotRunningError, CancelledError):
            assert once(1) == 2

    together(call, _portal.portals.shut_down)


@scenario(*PORTAL, actors=3, quick=True)
def first_use_against_exit() -> None:
    """The same where the call is the first of all."""
    from gllm_core.concurrency import PortalNotRunningError, _portal, syncify

    def call() -> None:
        with contextlib.suppress(PortalNotRunningError, CancelledError):
            assert syncify(_one_more)(1) == 2

    together(call, _portal.portals.shut_down)


@scenario(*PORTAL, actors=3)
def cleanup_against_exit() -> None:
    """The same with a call that awaits in its `finally` block: if it had begun before, that is done when the exit goes on."""
    from gllm_core.concurrency import PortalNotRunningError, _portal, syncify

    steps: list[str] = []

    async def work() -> None:
        steps.append("begun")
        try:
            await anyio.sleep_forever()
        finally:
            await anyio.sleep(0.003)  # virtual
            steps.append("done")

    def call() -> None:
        with contextlib.suppress(PortalNotRunningError, CancelledError):
            syncify(work)()

    def shut_down() -> None:
        before = list(steps)  # what comes later may be broken off
        _portal.portals.shut_down()
        assert not before or steps == ["begun", "done"], steps

    with calm():
        syncify(_one_more)(0)
    together(call, shut_down)

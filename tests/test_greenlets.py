"""Where gevent has replaced threads by greenlets: refused at the first use. tests/ecosystem does it with gevent itself."""

from __future__ import annotations

import pytest

from subprocess_tools import COMMON, STRICT, run_program

PATCHED = (
    COMMON
    + """
from types import SimpleNamespace
from anyio.from_thread import start_blocking_portal

patched = {sys.argv[1]} if sys.argv[1:] else set()
sys.modules["gevent.monkey"] = SimpleNamespace(is_module_patched=patched.__contains__)
limiter = anyio.CapacityLimiter(1)

def refused(use):
    try:
        return use()
    except RuntimeError as error:
        cause, remedy = str(error).split("; ")
        assert "gevent has replaced threads by greenlets, or their queues" in cause, cause
        return f"{type(error).__name__}: {remedy}"

def scoped():
    with start_blocking_portal() as portal:
        return syncify(one, portal=portal)()

async def first_item():
    return [item async for item in asyncify_iterator(range, limiter=limiter)(1)]

async def length():
    return await asyncify(len, limiter=limiter)("four")
"""
)
REMEDY = "keep them with monkey.patch_all(thread=False, queue=False)"


every_patch = pytest.mark.parametrize("patched", ["threading", "queue"])


@every_patch
def test_no_portal_on_a_greenlet(patched: str) -> None:
    """A portal of ours is not started, one that is a greenlet is not used; the error says why, and what helps. proves: S4."""
    program = "for use in (get_default_portal, syncify(one), syncify(one), scoped): say(refused(use))"
    run_program(PATCHED + program, patched, options=STRICT).expect(*[f"PortalNotRunningError: {REMEDY}"] * 4)


@every_patch
def test_no_worker_on_a_greenlet(patched: str) -> None:
    """No worker thread is started, and no token is lost. proves: A3."""
    program = "for use in (length, first_item): say(refused(lambda: asyncio.run(use())), limiter.borrowed_tokens)"
    run_program(PATCHED + program, patched, options=STRICT).expect(*[f"RuntimeError: {REMEDY} 0"] * 2)


def test_real_threads_are_kept() -> None:
    """Where gevent has patched all but threads, everything works."""
    program = "say(syncify(one)(), scoped(), asyncio.run(length()), asyncio.run(first_item()))"
    run_program(PATCHED + program, options=STRICT).expect("1 1 4 [0]")

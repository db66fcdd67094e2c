"""Ctrl-C while a step of a stream or scope is waited for, whose source raises as it is cancelled."""

from __future__ import annotations

import pytest

from interrupt_programs import DEFAULT, SCOPED, SCOPED_TRIO, interrupted
from subprocess_tools import run_program

STEPS = {
    "first item": "next(syncify_iterator(source, portal=portal)(1))",
    "later item": "stream = syncify_iterator(source, portal=portal)(2); next(stream); next(stream)",
    "enter": "scope(1).__enter__()",
    "exit": "left = scope(2); left.__enter__(); left.__exit__(None, None, None)",
}


@pytest.mark.parametrize("portal", [DEFAULT, SCOPED, SCOPED_TRIO], ids=["default", "scoped", "trio"])
@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_an_error_of_the_cancelled_source_is_the_context_of_the_interrupt(portal: str, step: str) -> None:
    """What the source raises as Ctrl-C cancels it does not hide the interrupt, and is not lost. proves: S6, I4"""
    run_program(
        interrupted(
            f"""
async def source(endless_at):
    if endless_at == 2:
        yield 1
    try:
        started.release()
        await anyio.sleep_forever()
    finally:
        raise ValueError("as it was cancelled")
    yield 2
scope = syncify_context(contextlib.asynccontextmanager(source), portal=portal)
when_started()
try:
    {step}
except KeyboardInterrupt as interrupt:
    say(repr(interrupt.__context__))
""",
            portal,
        )
    ).expect("ValueError('as it was cancelled')", "None []")

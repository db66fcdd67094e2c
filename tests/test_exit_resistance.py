"""Exit against coroutines that resist, take their time or are many: the grace, and the one record."""

from __future__ import annotations

import pytest

from subprocess_tools import COMMON, run_program

RESISTING: dict[str, tuple[str, list[str], str]] = {
    "swallows every cancellation": (
        """
async def resists():
    started.release()
    while True:
        try:
            await anyio.sleep_forever()
        except BaseException:
            pass
in_thread(syncify(resists))
""",
        [],
        "resists",
    ),
    "swallows and shields, beside one that does not": (
        """
async def resists():
    started.release()
    while True:
        with anyio.CancelScope(shield=True):
            try:
                await anyio.sleep_forever()
            except BaseException:
                pass
in_thread(syncify(endless))
started.acquire(timeout=30)
in_thread(syncify(resists))
""",
        ["finally endless"],
        "resists",
    ),
    "blocks its loop": (
        """
async def resists():
    started.release()
    threading.Event().wait()
in_thread(syncify(resists))
""",
        [],
        "resists",
    ),
    "a task of the plain portal": (
        """
async def resists():
    with anyio.CancelScope(shield=True):
        started.release()
        await anyio.sleep_forever()
get_default_portal().start_task_soon(resists)
""",
        [],
        "gllm-default-portal",
    ),
}


@pytest.mark.parametrize(("program", "lines", "left"), RESISTING.values(), ids=RESISTING)
def test_what_resists_is_named_once_after_the_grace(program: str, lines: list[str], left: str) -> None:
    """A coroutine that resists cancellation delays exit by the grace at most; one record names it, the status stays.

    proves: P3
    """
    finished = run_program(
        COMMON
        + f"""
room.SHUTDOWN_GRACE_S = 1.0
{program}
assert started.acquire(timeout=30)
sys.exit(3)
"""
    )
    stderr = finished.stderr.splitlines()
    assert (finished.status, finished.lines, len(stderr)) == (3, lines, 1), finished
    assert stderr[0].startswith("still running at exit, after 1.0 s of grace: ")
    assert left in stderr[0]
    assert "endless" not in stderr[0]
    assert finished.seconds >= 1.0


def test_the_grace_is_three_seconds() -> None:
    """The default grace is 3 s, and the record goes through the program's own logging configuration. proves: P3"""
    finished = run_program(
        COMMON
        + """
room.SHUTDOWN_GRACE_S = GRACE_S
logging.basicConfig(format="%(name)s %(levelname)s %(message)s")
async def resists():
    started.release()
    threading.Event().wait()
in_thread(syncify(resists))
assert started.acquire(timeout=30)
"""
    )
    finished.expect(stderr="gllm_core.concurrency ERROR still running at exit, after 3.0 s of grace: resists\n")
    assert finished.seconds >= 3.0


def test_cleanup_that_takes_its_time_within_the_grace_is_waited_for() -> None:
    """A `finally` block that awaits something slow, but ends within the grace, ends. proves: P3"""
    finished = run_program(
        COMMON
        + """
async def careful():
    try:
        started.release()
        await anyio.sleep_forever()
    finally:
        await asyncio.sleep(0.2)
        say("cleaned")
in_thread(syncify(careful))
assert started.acquire(timeout=30)
"""
    )
    finished.expect("cleaned")


@pytest.mark.parametrize("portals", ["default", "stopped and replaced"])
def test_every_call_in_flight_runs_its_finally(portals: str) -> None:
    """Twelve calls in flight at exit: each runs its `finally` block, also on a portal that was stopped and replaced.

    proves: P3
    """
    replace = "get_default_portal().call(get_default_portal().stop); syncify(one)()" if portals != "default" else ""
    finished = run_program(
        COMMON
        + f"""
for number in range(12):
    in_thread(syncify(endless), number)
for number in range(12):
    assert started.acquire(timeout=30)
{replace}
"""
    )
    assert sorted(finished.lines) == sorted(f"finally {number}" for number in range(12)), finished
    finished.expect(*finished.lines)

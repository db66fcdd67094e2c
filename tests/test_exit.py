"""What the interpreter's exit does to the default portal, to calls in flight and to abandoned functions."""

from __future__ import annotations

import pytest

from subprocess_tools import COMMON, STRICT, run_program

QUIET: dict[str, tuple[str, list[str]]] = {
    "nothing used": ("say('end')", ["end"]),
    "imported only": ("say([t.name for t in threading.enumerate()])", ["['MainThread']"]),
    "portal idle": ("say(syncify(one)())", ["1"]),
    "portal got, not called": ("get_default_portal(); say('end')", ["end"]),
    "plain portal call": ("say(get_default_portal().call(one))", ["1"]),
    "plain portal task in flight": (
        """
async def plain():
    try:
        started.release()
        await anyio.sleep_forever()
    finally:
        say("finally plain")
get_default_portal().start_task_soon(plain)
started.acquire(timeout=30)
say('end')
""",
        ["end", "finally plain"],
    ),
    "call in flight, daemon thread": (
        "in_thread(syncify(endless)); started.acquire(timeout=30); say('end')",
        ["end", "finally endless"],
    ),
    "call below asyncify in flight": (
        "in_thread(asyncio.run, asyncify(syncify(endless))()); started.acquire(timeout=30); say('end')",
        ["end", "finally endless"],
    ),
    "a call below asyncify that comes when the portal is gone": (
        """
room.SHUTDOWN_GRACE_S = 0.2
def below():
    dispatcher = room.portals.dispatcher
    started.release()
    while dispatcher.accepts:
        time.sleep(0.001)
    syncify(one)()
in_thread(syncify(asyncify(below))); started.acquire(timeout=30); say('end')
""",
        ["end"],
    ),
    "worker blocked for ever, abandoned": (
        """
async def main():
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(asyncify(block, cancellable=True))
            await anyio.to_thread.run_sync(started.acquire)
            scope.cancel()
    say('left')
def block():
    started.release()
    threading.Event().wait()
asyncio.run(main())
""",
        ["left"],
    ),
    "worker blocked for ever, its loop on a daemon thread": (
        """
def block():
    started.release()
    threading.Event().wait()
in_thread(asyncio.run, asyncify(block)())
started.acquire(timeout=30)
say('end')
""",
        ["end"],
    ),
    "asyncio.run, both directions": (
        "asyncio.run(asyncify(syncify(asyncify(syncify(one))))()); say('end')",
        ["end"],
    ),
    "trio.run, both directions": (
        "import trio; say(trio.run(asyncify(syncify(asyncify(syncify(one))))))",
        ["1"],
    ),
    "uvloop, both directions": (
        "import uvloop; say(uvloop.run(asyncify(syncify(asyncify(syncify(one))))()))",
        ["1"],
    ),
    "scoped portal around all": (
        """
from anyio.from_thread import start_blocking_portal
with start_blocking_portal() as portal:
    say(syncify(one, portal=portal)(), syncify(one)())
""",
        ["1 1"],
    ),
    "reserve portal alive": (
        """
warnings.simplefilter('ignore', ReentrantCallWarning)
async def nested():
    return syncify(one)()
say(syncify(nested)())
""",
        ["1"],
    ),
    "call in flight on a reserve portal": (
        """
warnings.simplefilter('ignore', ReentrantCallWarning)
async def nested():
    syncify(endless)()
in_thread(syncify(nested))
started.acquire(timeout=30)
say('end')
""",
        ["end", "finally endless"],
    ),
    "value in a cycle": (
        """
class Node:
    def __init__(self):
        self.me = self
async def node():
    return Node()
gc.disable()
kept = syncify(node)()
del kept
syncify(one)()
say('end')
""",
        ["end"],
    ),
    "stopped, replaced, used": (
        "p = get_default_portal(); p.call(p.stop); say(syncify(one)(), get_default_portal() is p)",
        ["1 False"],
    ),
}


@pytest.mark.parametrize("strict", [False, True], ids=["plain", "strict"])
@pytest.mark.parametrize(("program", "lines"), QUIET.values(), ids=QUIET)
def test_exit_is_silent_and_waits_for_nothing(program: str, lines: list[str], strict: bool) -> None:
    """Status 0, nothing on stderr, no wait, also with every warning an error; calls in flight ran their `finally`.

    proves: P1, P3, A12
    """
    finished = run_program(COMMON + program, options=STRICT if strict else ())
    finished.expect(*lines)


ENDINGS: dict[str, tuple[str, int, str]] = {
    "sys.exit": ("sys.exit(3)", 3, ""),
    "sys.exit with a message": ("sys.exit('so long')", 1, "so long\n"),
    "SystemExit out of a coroutine": ("syncify(leave)()", 4, ""),
    "os._exit": ("os._exit(5)", 5, ""),
    "SIGTERM": ("signal.raise_signal(signal.SIGTERM)", -15, ""),
    "unhandled exception": ("raise ValueError('mine')", 1, "ValueError: mine"),
    "KeyboardInterrupt": ("raise KeyboardInterrupt", -2, "KeyboardInterrupt"),
}


@pytest.mark.parametrize(("ending", "status", "last_line"), ENDINGS.values(), ids=ENDINGS)
def test_exit_status_is_the_program_s_own(ending: str, status: int, last_line: str) -> None:
    """However the main thread ends, with a call in flight the status and the one traceback are those of the program.

    proves: P3
    """
    finished = run_program(
        COMMON
        + f"""
async def leave():
    sys.exit(4)
in_thread(syncify(endless))
started.acquire(timeout=30)
{ending}
"""
    )
    assert finished.status == status
    assert finished.lines == ([] if "os._exit" in ending or "SIGTERM" in ending else ["finally endless"])
    assert finished.stderr.count("Traceback") == (1 if status in (1, -2) and "sys.exit" not in ending else 0)
    assert finished.stderr.rstrip("\n").rpartition("\n")[2] == last_line.rstrip("\n")

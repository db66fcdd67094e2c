"""Ctrl-C: in a process of its own, raised at a handshake point, never after a guess of how long something takes."""

from __future__ import annotations

import pytest

from interrupt_programs import DEFAULT, PROGRAM, SCOPED, SCOPED_TRIO, interrupted
from subprocess_tools import STRICT, run_program


@pytest.mark.parametrize("portal", [DEFAULT, SCOPED], ids=["default", "scoped"])
def test_finally_blocks_run_before_the_interrupt_reaches_the_caller(portal: str) -> None:
    """The coroutine is cancelled, its cleanup, which awaits, is done, then `KeyboardInterrupt` is raised. proves: S6"""
    run_program(
        interrupted(
            """
when_started()
try:
    syncify(careful, portal=portal)()
except KeyboardInterrupt as interrupt:
    say("interrupt", interrupt.__context__, interrupt.__cause__)
""",
            portal,
        ),
        options=STRICT,
    ).expect("finally endless", "cleaned", "interrupt None None", "None []")


def test_trio_portal_cancels_too() -> None:
    """On a trio portal the coroutine is cancelled, its shielded cleanup is done, then `KeyboardInterrupt` is raised.

    proves: S6
    """
    run_program(
        interrupted(
            """
async def on_trio():
    try:
        started.release()
        await anyio.sleep_forever()
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(0.05)
        say("cleaned")
when_started()
try:
    syncify(on_trio, portal=portal)()
except KeyboardInterrupt:
    say("interrupt")
""",
            SCOPED_TRIO,
        )
    ).expect("cleaned", "interrupt", "None []")


@pytest.mark.parametrize("portal", [DEFAULT, SCOPED], ids=["default", "scoped"])
def test_a_second_interrupt_stops_waiting(portal: str) -> None:
    """While the cleanup hangs, a second Ctrl-C raises at once; the cleanup can still end later. proves: S6"""
    run_program(
        interrupted(
            """
release = threading.Event()
async def hangs():
    try:
        await endless()
    finally:
        started.release()
        while not release.is_set():
            await asyncio.sleep(0.001)
        say("cleaned")
        started.release()
def twice():
    ctrl_c()
    started.acquire(timeout=30)
    ctrl_c()
when_started(twice)
try:
    syncify(hangs, portal=portal)()
except KeyboardInterrupt:
    say("interrupt")
release.set()
say(started.acquire(timeout=30))
""",
            portal,
        ),
        options=STRICT,
    ).expect("finally endless", "interrupt", "cleaned", "True", "None []")


def test_exit_after_a_second_interrupt_is_bounded() -> None:
    """A cleanup that hangs for ever after two Ctrl-C is cancelled again at exit, within the grace. proves: S6, P3"""
    finished = run_program(
        PROGRAM
        + """
room.SHUTDOWN_GRACE_S = 1.0
async def hangs():
    try:
        await endless()
    finally:
        started.release()
        await anyio.sleep_forever()
def twice():
    ctrl_c()
    started.acquire(timeout=30)
    ctrl_c()
when_started(twice)
try:
    syncify(hangs)()
except KeyboardInterrupt:
    say("interrupt")
"""
    )
    finished.expect("finally endless", "interrupt")


OUTCOMES: dict[str, tuple[str, str]] = {
    "a value": ("return 1", "None"),
    "an exception": ("raise ValueError", "ValueError()"),
    "a SystemExit": ("raise SystemExit(3)", "SystemExit(3)"),
}


@pytest.mark.parametrize(("ending", "context"), OUTCOMES.values(), ids=OUTCOMES)
def test_an_outcome_of_the_cancelled_coroutine_does_not_hide_the_interrupt(ending: str, context: str) -> None:
    """`KeyboardInterrupt` is raised though the cancelled coroutine returns or raises; an error of it is the context.

    proves: S6
    """
    run_program(
        interrupted(
            f"""
async def stubborn():
    try:
        await endless()
    except BaseException:
        {ending}
when_started()
try:
    syncify(stubborn)()
except KeyboardInterrupt as interrupt:
    say(repr(interrupt.__context__))
"""
        )
    ).expect("finally endless", context, "None []")


@pytest.mark.parametrize("portal", [DEFAULT, SCOPED, SCOPED_TRIO], ids=["default", "scoped", "trio"])
def test_an_interrupt_at_the_very_end_of_the_call_raises(portal: str) -> None:
    """Ctrl-C that comes as the coroutine returns, which the main thread sees with the outcome, raises: it never hangs.

    proves: S6
    """
    run_program(
        interrupted(
            """
async def ends():
    signal.raise_signal(signal.SIGINT)  # only flagged on this thread; the main thread sees it when it wakes
    return 1
for _ in range(3):
    try:
        say(syncify(ends, portal=portal)())
    except KeyboardInterrupt:
        say("interrupt")
""",
            portal,
        )
    ).expect("interrupt", "interrupt", "interrupt", "None []")


def test_an_interrupt_while_the_first_call_imports_raises() -> None:
    """Ctrl-C in the first call of all never breaks the import of the backend off, and raises as ever. proves: S6, P1"""
    run_program(
        PROGRAM
        + """
class Interrupting:
    def find_spec(self, name, path, target=None):
        if name == "anyio._backends._asyncio":
            say("imported on", threading.current_thread().name)
            ctrl_c()

sys.meta_path.insert(0, Interrupting())
try:
    syncify(one)()
except KeyboardInterrupt:
    say("interrupt")
say(syncify(one)())
"""
    ).expect("imported on gllm-default-portal", "interrupt", "1")


@pytest.mark.parametrize("busy", [True, False], ids=["with a call in flight", "idle"])
def test_an_interrupt_as_a_call_is_withdrawn_raises(busy: bool) -> None:
    """Ctrl-C just when a call takes itself back from a portal that is stopping ends the call, and the portal ends, too.

    proves: S6, P2
    """
    run_program(
        """
import asyncio, sys, threading
from anyio.from_thread import start_blocking_portal
from gllm_core.concurrency import syncify

begun, go_on = threading.Event(), threading.Event()

async def one():
    return 1

async def in_flight():
    begun.set()
    while not go_on.is_set():
        await asyncio.sleep(0.001)

async def stop_here():  # so that nothing of the portal's end happens before the interrupt
    await portal.stop()
    stopped.set()
    interrupted.wait(30)

stopped, interrupted = threading.Event(), threading.Event()

def trace(frame, event, _argument):
    if frame.f_code.co_name == "_claim" and event == "line" and frame.f_locals.get("claim") == []:
        sys.settrace(None)
        interrupted.set()
        raise KeyboardInterrupt
    return trace

with start_blocking_portal() as portal:
    call = syncify(one, portal=portal)
    assert call() == 1
    if BUSY:
        other = threading.Thread(target=syncify(in_flight, portal=portal))
        other.start()
        begun.wait(30)
    portal.start_task_soon(stop_here)
    stopped.wait(30)
    sys.settrace(trace)
    try:
        call()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    go_on.set()
    if BUSY:
        other.join(30)
print("closed", flush=True)
""".replace("BUSY", str(busy)),
        options=STRICT,
    ).expect("interrupted", "closed")

"""Signal handlers of the program's own, interrupts below asyncify, and interrupts while the portal starts."""

from __future__ import annotations

import pytest

from interrupt_programs import DEFAULT, PROGRAM, SCOPED, interrupted
from subprocess_tools import STRICT, run_program

TICKING = """
def tick():
    asyncio.get_running_loop().call_later(0.01, tick)
"""
"""Plain asyncio can sleep through a signal that comes just before its select(): CPython's race, so its loop ticks here."""


def test_another_exception_of_a_handler_is_treated_alike() -> None:
    """What a signal handler raises cancels the coroutine, waits for its cleanup and reaches the caller as the same object.

    proves: S6
    """
    run_program(
        interrupted(
            """
class Alarm(Exception): pass
alarm = Alarm()
def handler(*_):
    raise alarm
signal.signal(signal.SIGINT, handler)
when_started()
try:
    syncify(careful)()
except Alarm as caught:
    say(caught is alarm)
"""
        ),
        options=STRICT,
    ).expect("finally endless", "cleaned", "True", "None []")


def test_a_handler_that_returns_does_not_end_the_call() -> None:
    """A signal handler that returns leaves the waiting call alone. proves: S6"""
    run_program(
        interrupted(
            """
ready = threading.Event()
signal.signal(signal.SIGINT, lambda *_: ready.set())
async def until_ready():
    started.release()
    while not ready.is_set():
        await asyncio.sleep(0.001)
    return 1
when_started()
say(syncify(until_ready)())
"""
        )
    ).expect("1", "None []")


@pytest.mark.parametrize("raises", [False, True], ids=["returns", "raises"])
def test_a_handler_may_make_a_call_of_its_own(raises: bool) -> None:
    """A signal handler that runs a syncified call, while the main thread waits in one, gets its value: no deadlock.

    proves: S6, S4
    """
    ending = "raise KeyboardInterrupt" if raises else "ready.set()"
    run_program(
        interrupted(
            f"""
ready = threading.Event()
def handler(*_):
    say("handler", syncify(one)())
    {ending}
signal.signal(signal.SIGINT, handler)
async def until_ready():
    started.release()
    while not ready.is_set():
        await asyncio.sleep(0.001)
    return 2
when_started()
try:
    say(syncify(until_ready)())
except KeyboardInterrupt:
    say("interrupt")
"""
        ),
        options=STRICT,
    ).expect("handler 1", "interrupt" if raises else "2", "None []")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop", "trio"])
def test_interrupt_of_the_main_loop_waits_for_the_function(loop: str) -> None:
    """Ctrl-C in a main loop that awaits asyncify: the function ends, its token returns, then `KeyboardInterrupt` is raised.

    proves: A3, A5, S6
    """
    run = {
        "asyncio": "asyncio.run(main())",
        "uvloop": "import uvloop; uvloop.run(main())",
        "trio": "import trio; trio.run(main)",
    }[loop]
    # On trio, `check_cancelled` would raise the KeyboardInterrupt inside the function, and it would be the function's to lose.
    signals = "lambda: (ctrl_c(), release.set())" if loop == "trio" else "ctrl_c"
    run_program(
        PROGRAM
        + TICKING
        + f"""
import contextlib
release = threading.Event()
def block():
    started.release()
    with contextlib.suppress(BaseException):
        while not release.wait(0.001):
            {"pass" if loop == "trio" else "anyio.from_thread.check_cancelled()"}
    say("function ended")
async def main():
    global limiter
    limiter = anyio.CapacityLimiter(1)
    {"pass" if loop == "trio" else "tick()"}
    try:
        await asyncify(block, limiter=limiter)()
    finally:
        say("left", limiter.borrowed_tokens)
when_started({signals})
try:
    {run}
except KeyboardInterrupt:
    say("interrupt", limiter.borrowed_tokens)
"""
    ).expect("function ended", "left 0", "interrupt 0")


def test_interrupt_reaches_a_coroutine_below_asyncify() -> None:
    """Ctrl-C in `asyncio.run` above asyncify above syncify: the innermost coroutine is cancelled and cleans up first.

    proves: S6, S7
    """
    run_program(
        PROGRAM
        + TICKING
        + """
async def main():
    tick()
    await asyncify(syncify(careful))()
when_started()
try:
    asyncio.run(main())
except KeyboardInterrupt:
    say("interrupt")
say(syncify(one)())
"""
    ).expect("finally endless", "cleaned", "interrupt", "1")


@pytest.mark.parametrize("portal", [DEFAULT, SCOPED], ids=["default", "scoped"])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop", "anyio", "trio"])
def test_interrupt_of_a_main_loop_that_a_call_blocks(loop: str, portal: str) -> None:
    """Ctrl-C while a syncified call blocks the main loop: the coroutine cleans up, `KeyboardInterrupt` comes. proves: S6"""
    run = {
        "asyncio": "asyncio.run(main())",
        "uvloop": "import uvloop; uvloop.run(main())",
        "anyio": "anyio.run(main)",
        "trio": "import trio; trio.run(main)",
    }[loop]
    run_program(
        interrupted(
            f"""
warnings.simplefilter("ignore", BlockedLoopWarning)
async def main():
    try:
        syncify(careful, portal=portal)()
    except Exception as error:
        say("an error", error)
when_started()
try:
    {run}
except KeyboardInterrupt:
    say("interrupt")
""",
            portal,
        )
    ).expect("finally endless", "cleaned", "interrupt", "None []")


# The line at which the interrupt comes is named by function: (function, its caller), in the portal's start.
STARTS = {
    "before the thread is started": ("start", "_start"),
    "as the thread is being started": ("start", "start"),
    "as it waits for the thread's first step": ("wait", "start"),
    "as it waits for the loop": ("wait_ready", "default"),
}


@pytest.mark.parametrize("place", STARTS.values(), ids=STARTS)
@pytest.mark.parametrize("what", ["interrupt", "call"])
def test_the_first_start_survives_a_signal(place: tuple[str, str], what: str) -> None:
    """Ctrl-C while the portal starts is raised as it is, and the next use works; a call in a handler never deadlocks.

    proves: S6, P1, P2
    """
    run_program(
        PROGRAM
        + f"""
def handler(*_):
    if {what!r} == "interrupt":
        raise KeyboardInterrupt
    try:
        syncify(one)()
    except PortalNotRunningError:
        pass  # refused, not deadlocked: this very thread is the one that starts it

signal.signal(signal.SIGINT, handler)

def trace(frame, event, arg):
    here = frame.f_code.co_name, frame.f_back.f_code.co_name
    files = frame.f_code.co_filename, frame.f_back.f_code.co_filename
    if here == {place!r} and not {{room.__file__, threading.__file__}}.isdisjoint(files):
        sys.settrace(None)
        signal.raise_signal(signal.SIGINT)
        say("signalled")

outcome = "no exception"
sys.settrace(trace)
try:
    syncify(one)()
except KeyboardInterrupt:
    outcome = "interrupt"
sys.settrace(None)
say(outcome)
value = syncify(one)()
serving = get_default_portal().call(threading.current_thread)
for thread in set(threading.enumerate()) - {{serving, threading.main_thread()}}:
    # One that was given up while it was started finds that out by itself, and leaves; until it begins, it cannot be joined.
    thread._started.wait(30)
    thread.join(30)
say(value, [t.name for t in threading.enumerate()])
"""
    ).expect(
        *(["interrupt"] if what == "interrupt" else ["signalled", "no exception"]),
        "1 ['MainThread', 'gllm-default-portal']",
    )

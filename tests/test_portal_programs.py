"""Portals at birth, at exit, and where the platform refuses: each program has a process, hence a default portal, of its own."""

from __future__ import annotations

import pytest

from subprocess_tools import COMMON, STRICT, run_program

PROGRAM = (
    COMMON
    + """
class Say(logging.Handler):
    def emit(self, record):
        say("log:", record.getMessage())
logging.getLogger("gllm_core.concurrency").addHandler(Say())

def error_of(function):
    try:
        return function()
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
"""
)

LATE = """
import atexit
late = []
@atexit.register
def before_the_end():  # registered before the import of the library, so it runs after the portals were shut down
    for thread in late:
        thread.join(30)
"""
"""What the programs begin with that wait, at the very end, for what their daemonic threads have to say."""


def test_a_use_from_within_the_start_is_refused() -> None:
    """A signal handler that makes a call while its own thread starts the portal gets an error, not a hang. proves: S4, P2"""
    run_program(
        PROGRAM
        + """
signal.signal(signal.SIGUSR1, lambda *_: say("handler:", error_of(syncify(one))))
start = threading.Thread.start
def interrupted(thread):
    if thread.name == "gllm-default-portal":
        signal.raise_signal(signal.SIGUSR1)
    start(thread)
threading.Thread.start = interrupted
say(syncify(one)(), syncify(one)())
""",
        options=STRICT,
    ).expect(
        "handler: PortalNotRunningError: the default portal is being started by this very thread, further up its stack", "1 1"
    )


def test_a_thread_that_dies_before_it_is_a_portal_ends_the_wait_for_it() -> None:
    """A first user whose portal's thread dies before its first line gets an error, the next one a portal. proves: S4, P1, P2"""
    run_program(
        PROGRAM
        + """
from gllm_core.concurrency import _portal_thread
_portal_thread.HEALTH_CHECK_S = 0.01

def broken_profiler(frame, event, arg):
    raise ValueError
threading.excepthook = lambda args: say("died:", args.thread.name, args.exc_type.__name__)
threading.setprofile(broken_profiler)
say(error_of(syncify(one)))
threading.setprofile(None)
say(syncify(one)())
""",
    ).expect(
        "died: gllm-default-portal ValueError",
        "PortalNotRunningError: the portal could not be started: the portal's thread died before the portal was ready",
        "1",
    )


def test_a_loop_that_cannot_be_made_is_the_cause_and_the_next_user_gets_a_portal() -> None:
    """Where no event loop can be made, each user is told why; as soon as one can, there is a portal. proves: P2, S4"""
    run_program(
        PROGRAM
        + """
def refuse():
    raise OSError(24, "Too many open files")
new_event_loop, asyncio.events.new_event_loop = asyncio.events.new_event_loop, refuse
for use in (syncify(one), get_default_portal):
    say(error_of(use))
asyncio.events.new_event_loop = new_event_loop
say(syncify(one)())
""",
        options=STRICT,
    ).expect(
        *["PortalNotRunningError: the portal could not be started: [Errno 24] Too many open files"] * 2,
        "1",
    )


def test_an_exit_in_a_callback_as_the_portal_ends_ends_nothing_else() -> None:
    """A callback that calls sys.exit in the portal's last turn is logged; the next use gets a new portal. proves: P2, S5"""
    run_program(
        PROGRAM
        + """
async def exit_at_the_end():
    thread = threading.current_thread()
    (main,) = [task for task in asyncio.all_tasks() if task.get_name() == thread.name]
    main.add_done_callback(lambda _: sys.exit(3))
    return thread

thread, portal = syncify(exit_at_the_end)(), get_default_portal()
portal.call(portal.stop)
thread.join(30)
say(thread.is_alive(), syncify(one)(), get_default_portal() is portal)
""",
        options=STRICT,
    ).expect("log: the portal of thread 'gllm-default-portal' crashed", "False 1 False")


def test_a_stream_whose_first_step_comes_after_the_shutdown_is_refused() -> None:
    """A first step that the loop comes to only when the exit has begun ends with PortalNotRunningError. proves: I3, P3, P4"""
    run_program(
        LATE
        + PROGRAM
        + """
closing, silence = threading.Event(), room._silence_daemon_threads
def note():
    closing.set()
    silence()
room._silence_daemon_threads = note

async def busy():
    started.release()
    closing.wait(30)  # blocks the loop

async def numbers():
    yield 1

queued, loop = threading.Event(), get_default_portal().call(asyncio.get_running_loop)
def noted(wake):
    def woken_for_it(*args, **kwargs):
        wake(*args, **kwargs)
        queued.set()
    return woken_for_it

late.append(in_thread(syncify(busy)))
started.acquire(timeout=30)
loop.call_soon_threadsafe = noted(loop.call_soon_threadsafe)
if hasattr(os, "eventfd_write"):
    os.eventfd_write = noted(os.eventfd_write)
late.append(in_thread(lambda: say(error_of(lambda: next(syncify_iterator(numbers)())))))
queued.wait(30)
say("end")
""",
        options=STRICT,
    ).expect("end", "PortalNotRunningError: the portal of 'numbers' is not running; use one that is, or the default portal")


def test_what_goes_wrong_on_a_daemon_thread_during_the_shutdown_is_reported() -> None:
    """At exit a cancelled call on a daemon thread is silent; another error of such a thread is reported. proves: P3"""
    run_program(
        LATE
        + PROGRAM
        + """
async def is_cancelled():
    started.release()
    await anyio.sleep_forever()

async def fails():
    try:
        started.release()
        await anyio.sleep_forever()
    finally:
        raise ValueError

threading.excepthook = lambda args: say("reported", args.exc_type.__name__)
late += [in_thread(syncify(function)) for function in (fails, is_cancelled)]
for _ in late:
    started.acquire(timeout=30)
""",
        options=STRICT,
    ).expect("reported ValueError")


def test_without_forks_everything_else_works() -> None:
    """On a platform without `os.register_at_fork`, such as Windows, both directions and streams work. proves: P1, A2, S2, I1"""
    run_program(
        """
import asyncio, atexit, concurrent.futures.thread, contextlib, logging, os, random, threading
import anyio._backends._asyncio
del os.register_at_fork
"""
        + COMMON
        + """
def blocking():
    yield from range(3)

async def main():
    return await asyncify(sum)([1, 2]), [item async for item in asyncify_iterator(blocking)()]

async def numbers():
    for number in range(3):
        yield number

say(syncify(one)(), list(syncify_iterator(numbers)()), asyncio.run(main()))
""",
        options=STRICT,
    ).expect("1 [0, 1, 2] (3, [0, 1, 2])")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_where_no_thread_can_be_started_a_stream_says_so(backend: str) -> None:
    """The first item raises that no thread could be started, and the token is free; the next stream works. proves: I4, A3"""
    run_program(
        COMMON
        + f"""
limiter, start = anyio.CapacityLimiter(1), threading.Thread.start
stream = asyncify_iterator(lambda: "ab", limiter=limiter)
def refuse(thread):
    raise RuntimeError("can't start new thread")
async def main():
    threading.Thread.start = refuse
    try:
        await anext(stream())
    except RuntimeError as error:
        say(error, limiter.borrowed_tokens)
    threading.Thread.start = start
    say([item async for item in stream()], limiter.borrowed_tokens)
anyio.run(main, backend={backend!r})
""",
        options=STRICT,
    ).expect("can't start new thread 0", "['a', 'b'] 0")

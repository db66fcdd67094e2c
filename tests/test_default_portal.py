"""The default portal: born once, always live, a plain AnyIO portal. Each test has a process, hence a first use, of its own."""

from __future__ import annotations

import pytest

from subprocess_tools import COMMON, STRICT, run_program

PROGRAM = (
    COMMON
    + """
import contextlib
logging.basicConfig(stream=sys.stdout, format="%(message)s")
get_ident = threading.get_ident

def portal_threads():
    return [thread for thread in threading.enumerate() if "portal" in thread.name]

def end_of(thread):
    thread.join(30)
    return not thread.is_alive()

outcomes = []
def in_flight(async_func, *args):
    '''Start a call on a thread of its own, which notes the outcome; return once the coroutine runs.'''
    def call():
        try:
            outcomes.append(syncify(async_func)(*args))
        except BaseException as error:
            outcomes.append(type(error).__name__)
    thread = in_thread(call)
    assert started.acquire(timeout=30)
    return thread
"""
)


@pytest.mark.parametrize("user", ["get_default_portal", "syncify(get_ident_async)", "get_default_portal().call"])
def test_a_race_of_first_users_starts_one_thread(user: str) -> None:
    """Thirty-two threads that use the portal first, at once, get one and the same, on one daemonic, named thread. proves: P1"""
    run_program(
        PROGRAM
        + f"""
async def get_ident_async():
    return get_ident()
say(portal_threads())
sys.setswitchinterval(1e-6)  # or the first one is through before the next one has come
barrier = threading.Barrier(32)
found = []
def first():
    barrier.wait(30)
    found.append({user if "call" not in user else "(lambda: get_default_portal().call(get_ident))"}())
threads = [in_thread(first) for _ in range(32)]
for thread in threads:
    thread.join(30)
say(len(found), len(set(map(id, found))) if "Portal" in repr(found[0]) else len(set(found)))
say([(thread.name, thread.daemon) for thread in portal_threads()])
""",
        options=STRICT,
    ).expect("[]", "32 1", "[('gllm-default-portal', True)]")


def test_a_first_user_waits_for_a_starter_that_is_held_up() -> None:
    """A user that comes between the portal's choice and its thread's start waits for it, however long that takes.

    proves: P1, P2
    """
    run_program(
        PROGRAM
        + """
from gllm_core.concurrency import _portal_thread
_portal_thread.HEALTH_CHECK_S = 0.01
held, go = threading.Event(), threading.Event()
def trace(frame, event, arg):
    if frame.f_code is room.PortalThread.start.__code__:
        held.set()
        go.wait(30)
def starter():
    sys.settrace(trace)
    syncify(one)()
in_thread(starter)
assert held.wait(30)
def user():
    try:
        outcomes.append(syncify(one)())
    except RuntimeError as error:
        outcomes.append(error)
thread = in_thread(user)
thread.join(0.3)  # many health checks; where the portal is right, nothing comes of them
go.set()
say(end_of(thread), *outcomes, len(portal_threads()))
"""
    ).expect("True 1 1")


def test_a_finalizer_on_the_thread_of_a_portal_that_begins_does_not_stop_it() -> None:
    """The first use collects garbage, most likely as asyncio is imported, on the new portal's thread. A finalizer that makes
    a call there hears that it cannot be served, and the portal begins. proves: P1, S4
    """
    run_program(
        """
import gc, sys, threading
from gllm_core.concurrency import *

class Client:
    def __init__(self):
        self.itself = self
    def __del__(self):
        try:
            syncify(close)()
        except PortalNotRunningError as error:
            refused.append((threading.current_thread().name, str(error)))

async def close(): ...
async def one():
    return 1

refused = []
gc.disable()
Client()
run = threading.Thread.run
def run_collecting(thread):
    gc.enable()
    gc.set_threshold(1)
    run(thread)
threading.Thread.run = run_collecting
print(syncify(one)(), len(refused), *refused[0])
"""
    ).expect("1 1 gllm-default-portal the portal is being started by this very thread, further up its stack")


STOPS = {
    "call stop": "portal.call(portal.stop)",
    "call stop, cancelling": "portal.call(portal.stop, True)",
    "start_task_soon": "portal.start_task_soon(portal.stop).result(30)",
    "syncified stop": "syncify(portal.stop)()",
    "from a coroutine on it": "syncify(stop_from_inside)()",
}


@pytest.mark.parametrize("stop", STOPS.values(), ids=STOPS)
def test_a_stopped_portal_is_replaced(stop: str) -> None:
    """Whoever stops the portal, and how: the next user gets a new one, the old one refuses, its thread ends. proves: P2, S4"""
    run_program(
        PROGRAM
        + f"""
async def stop_from_inside():
    await get_default_portal().stop()
portal = get_default_portal()
old, = portal_threads()
for _ in range(3):
    {stop}
    assert syncify(one)() == 1
    assert end_of(old)
    try:
        syncify(one, portal=portal)()
    except PortalNotRunningError:
        say(get_default_portal() is not portal, len(portal_threads()))
    portal, (old,) = get_default_portal(), portal_threads()
""",
        options=STRICT,
    ).expect(*["True 1"] * 3)


@pytest.mark.parametrize(("cancel", "outcome"), [(False, "7"), (True, "CancelledError")], ids=["waits", "cancels"])
def test_calls_in_flight_when_the_portal_is_stopped(cancel: bool, outcome: str) -> None:
    """A stop lets calls in flight end with their values, a cancelling one ends them; the next use works meanwhile.

    proves: P2, S4
    """
    run_program(
        PROGRAM
        + f"""
release = threading.Event()
async def seven():
    started.release()
    while not release.is_set():
        await asyncio.sleep(0.001)
    return 7
threads = [in_flight(seven) for _ in range(3)]
portal = get_default_portal()
portal.call(portal.stop, {cancel})
say(syncify(one)())
if not {cancel}:
    release.set()
say(all(map(end_of, threads)), *outcomes)
""",
        options=STRICT,
    ).expect("1", f"True {outcome} {outcome} {outcome}")


def test_users_beside_one_who_keeps_stopping() -> None:
    """While the portal is stopped again and again, every syncified call gets its value or the two documented errors.

    proves: P2, S4
    """
    run_program(
        PROGRAM
        + """
def use():
    for _ in range(200):
        try:
            outcomes.append(syncify(one)())
        except (PortalNotRunningError, CancelledError):
            outcomes.append(0)
threads = [in_thread(use) for _ in range(4)]
while any(thread.is_alive() for thread in threads):
    portal = get_default_portal()
    with contextlib.suppress(RuntimeError):
        portal.call(portal.stop)
say(len(outcomes), syncify(one)(), sum(outcomes) > 0)
say(all(end_of(thread) for thread in portal_threads()[:-1]))
""",
    ).expect("800 1 True", "True")


CRASHES = {
    "loop.stop in a coroutine": "asyncio.get_running_loop().stop()",
    "loop.stop, thread-safe": "loop.call_soon_threadsafe(loop.stop)",
}


@pytest.mark.parametrize("crash", CRASHES.values(), ids=CRASHES)
def test_a_crash_of_the_loop_ends_every_call(crash: str) -> None:
    """A loop that is killed ends the calls in flight with an error, is logged once, and the next use gets a new portal.

    proves: P2, S4
    """
    finished = run_program(
        PROGRAM
        + f"""
def interrupt():
    raise KeyboardInterrupt
async def crash():
    loop = asyncio.get_running_loop()
    {crash}
    await endless("crash")
threads = [in_flight(endless) for _ in range(3)]
portal, (old,) = get_default_portal(), portal_threads()
threads.append(in_flight(crash))
assert all(map(end_of, threads)), outcomes
say(set(outcomes) <= {{"PortalNotRunningError", "CancelledError"}}, len(outcomes))
assert end_of(old)
say(syncify(one)(), get_default_portal() is portal, len(portal_threads()))
"""
    )
    report = [line for line in finished.lines if not line.startswith("finally ")]
    assert [line for line in report if line in ("True 4", "1 False 1")] == ["True 4", "1 False 1"], finished
    assert report.count("the portal of thread 'gllm-default-portal' crashed") == 1, finished
    assert (finished.status, finished.stderr) == (0, "")


def test_a_crash_beside_a_coroutine_that_resists_leaves_its_own_outcome() -> None:
    """Where the loop's end waits for a coroutine that swallows and shields its cancellation, its caller gets its value.

    proves: S4, P2
    """
    finished = run_program(
        PROGRAM
        + """
logging.disable()
async def resists():
    try:
        started.release()
        await anyio.sleep_forever()
    except BaseException:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(0.01)
        return 8
thread = in_flight(resists)
loop = get_default_portal().call(asyncio.get_running_loop)
loop.call_soon_threadsafe(loop.stop)
say(end_of(thread), *outcomes)
say(syncify(one)())
"""
    )
    finished.expect("True 8", "1")


def test_the_portal_is_a_plain_anyio_portal() -> None:
    """What `get_default_portal` returns has the whole API of AnyIO's portal, and is the same while it lives. proves: P1, P2"""
    run_program(
        PROGRAM
        + """
@contextlib.asynccontextmanager
async def manager():
    say("enter")
    try:
        yield 4
    finally:
        say("exit")
async def with_status(*, task_status=anyio.TASK_STATUS_IGNORED):
    task_status.started("started")
    return "ended"
portal = get_default_portal()
say(isinstance(portal, anyio.from_thread.BlockingPortal), portal is get_default_portal())
say(portal.call(one), portal.call(get_ident) == portal_threads()[0].ident)
say(portal.start_task_soon(one).result(30))
future, status = portal.start_task(with_status)
say(status, future.result(30))
with portal.wrap_async_context_manager(manager()) as value:
    say(value, syncify(one, portal=portal)())
""",
        options=STRICT,
    ).expect("True True", "1 True", "1", "started ended", "enter", "4 1", "exit")

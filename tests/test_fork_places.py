"""Forks from inside a call, portals of the parent used in the child, and `multiprocessing`."""

from __future__ import annotations

import pytest

from fork_programs import PROGRAM, WORKS
from subprocess_tools import FORK_BESIDE_THREADS, STRICT, run_program

PLACES = {
    "a worker of asyncio": "asyncio.run(asyncify(here)())",
    "a worker of trio": "import trio; trio.run(asyncify(here))",
    "a coroutine on the default portal": "syncify(coroutine)()",
    "a coroutine on a scoped portal": "syncify(coroutine, portal=portal)()",
    "a plain call on a scoped portal": "portal.call(here)",
    "a coroutine of asyncio.run": "asyncio.run(coroutine())",
    "a worker below a coroutine below a worker": "asyncio.run(asyncify(syncify(asyncify(here)))())",
    "a signal handler, during a call": """
signal.signal(signal.SIGUSR1, lambda *_: (here(), said.set()))
said = threading.Event()
async def until_said():
    os.kill(os.getpid(), signal.SIGUSR1)
    while not said.is_set():
        await asyncio.sleep(0.001)
syncify(until_said)()
""",
}


@pytest.mark.parametrize("used", [False, True], ids=["unused", "used"])
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_fork_from_inside_a_call(place: str, used: bool) -> None:
    """A child forked on a worker thread, on a portal's own thread or in a signal handler works, and the parent goes on.

    proves: P2, P5
    """
    run_program(
        PROGRAM
        + f"""
warnings.simplefilter("error")
warnings.filterwarnings("ignore", category=DeprecationWarning, message="This process")
def here():
    child(lambda: say("child", works()))
async def coroutine():
    await asyncio.sleep(0)
    here()
with start_blocking_portal() as portal:
    {"works()" if used else "pass"}
    {place.strip().replace(chr(10), chr(10) + "    ")}
    say("parent", syncify(one, portal=portal)(), works())
""",
        options=STRICT,
    ).expect(f"child {WORKS}", f"parent 1 {WORKS}")


@pytest.mark.parametrize("place", ["_replace_default", "_start"])
def test_fork_while_the_default_portal_is_looked_for(place: str) -> None:
    """In a child forked by a signal handler, the handler and what it interrupted get the same default portal. proves: P1, P2"""
    run_program(
        PROGRAM
        + f"""
unpatched = room.portals.{place}
def forks(server):
    room.portals.{place} = unpatched
    children.append(os.fork())
    if not children[-1]:
        seen.append(get_default_portal())
    return unpatched(server)
children, seen = [], []
room.portals.{place} = forks
seen.append(get_default_portal())
if children[-1]:
    os.waitpid(children[-1], 0)
    say("parent", len(seen), works())
else:
    say("child", seen[0] is seen[1], works(), len([t for t in threading.enumerate() if "portal" in t.name]))
""",
        options=FORK_BESIDE_THREADS,
    ).expect(f"child True {WORKS} 1", f"parent 1 {WORKS}")


def test_fork_while_a_default_portal_is_waited_for_that_another_thread_starts() -> None:
    """In the child, where that portal never gets ready, the one who waited for it gets a new one, too. proves: P2"""
    run_program(
        PROGRAM
        + """
from gllm_core.concurrency._portal_thread import PortalThread
main, wait_ready = PortalThread._main, PortalThread.wait_ready
begun, go = threading.Event(), threading.Event()
async def begins_late(server):
    begun.set()
    go.wait()
    await main(server)
def forks(server):
    if threading.current_thread() is threading.main_thread():
        PortalThread.wait_ready, PortalThread._main = wait_ready, main
        children.append(os.fork())
        if children[-1]:
            go.set()
        else:
            seen.append(get_default_portal())
    return wait_ready(server)
children, seen = [], []
PortalThread.wait_ready, PortalThread._main = forks, begins_late
threading.Thread(target=get_default_portal).start()
begun.wait()
seen.append(get_default_portal())
if children[-1]:
    os.waitpid(children[-1], 0)
    say("parent", len(seen), works())
else:
    say("child", seen[0] is seen[1], works())
""",
        options=FORK_BESIDE_THREADS,
    ).expect(f"child True {WORKS}", f"parent 1 {WORKS}")


def test_fork_while_an_older_default_portal_is_taken_for_the_newest() -> None:
    """As a thread that was held up makes it look: the parent finds the newest, and the child its own. proves: P1, P2"""
    run_program(
        PROGRAM
        + """
older = room.portals._default
newest = get_default_portal()
room.portals._default = older
child(lambda: say("child", works()))
room.portals._default = older
say("parent", get_default_portal() is newest, works())
""",
        options=FORK_BESIDE_THREADS,
    ).expect(f"child {WORKS}", f"parent True {WORKS}")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("first", ["pass", "works()"], ids=["first call", "after others"])
@pytest.mark.parametrize("used", [False, True], ids=["unused", "used"])
def test_a_portal_of_the_parent_is_refused_in_the_child(backend: str, first: str, used: bool) -> None:
    """In the child a portal of the parent is refused at once, also where a new thread got the identifier of the parent's.

    proves: S4, P2
    """
    run_program(
        PROGRAM
        + f"""
async def value():
    await anyio.sleep(0)
    return 1
def in_child():
    {first}
    for call in calls:
        try:
            say(call())
        except PortalNotRunningError:
            say("refused")
with start_blocking_portal({backend!r}) as portal:
    inherited = get_default_portal()
    calls = [syncify(value, portal=portal), syncify(value, portal=inherited)]
    if {used}:
        assert [call() for call in calls] == [1, 1]
    child(in_child)
    say([call() for call in calls], works())
""",
        options=STRICT,
    ).expect("refused", "refused", f"[1, 1] {WORKS}")


@pytest.mark.parametrize("used", [False, True], ids=["unused", "used"])
def test_a_portal_of_the_parent_is_refused_in_a_child_forked_on_its_thread(used: bool) -> None:
    """A child forked on the thread of a parent's portal cannot use that portal either: its loop will not turn again.

    proves: S4
    """
    run_program(
        PROGRAM
        + f"""
def in_child():
    try:
        say(syncify(one, portal=portal)())
    except PortalNotRunningError:
        say("refused", works())
async def coroutine():
    child(in_child)
with start_blocking_portal() as portal:
    if {used}:
        syncify(one, portal=portal)()
    portal.call(coroutine)
    say(syncify(one, portal=portal)(), works())
""",
        options=FORK_BESIDE_THREADS,
    ).expect(f"refused {WORKS}", f"1 {WORKS}")


def test_a_call_that_was_waiting_is_refused_in_the_child() -> None:
    """Where a signal handler forks while its thread waits in a call, that call ends in the child with the error.

    proves: S4, P2
    """
    run_program(
        PROGRAM
        + """
parent = os.getpid()
said = threading.Event()
def handler(*_):
    global pid
    pid = os.fork()
    said.set()
signal.signal(signal.SIGUSR1, handler)
async def until_said():
    os.kill(parent, signal.SIGUSR1)
    while not said.is_set():
        await asyncio.sleep(0.001)
    return 1
try:
    value = syncify(until_said)()
except PortalNotRunningError:
    value = "refused"
if os.getpid() != parent:
    say(value, works())
    os._exit(0)
say(os.waitpid(pid, 0)[1])
say(value, works())
""",
        options=STRICT,
    ).expect(f"refused {WORKS}", "0", f"1 {WORKS}")


def test_the_worker_cache_of_the_child_is_fresh() -> None:
    """Workers that idle in the parent do not exist in the child: its calls get threads that are its own. proves: A12, P5"""
    run_program(
        PROGRAM
        + """
async def four():
    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(asyncify(barrier.wait), 10)
def workers():
    return len([t for t in threading.enumerate() if t.name.startswith("gllm-worker-")])
barrier = threading.Barrier(4)
asyncio.run(four())
say(workers())
child(lambda: say(workers(), asyncio.run(four()), workers()))
asyncio.run(four())
say(workers())
""",
        options=STRICT,
    ).expect("4", "0 None 4", "4")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_pools(method: str) -> None:
    """A pool's processes use both directions, whatever the start method, beside a parent that does. proves: P5"""
    run_program(
        PROGRAM
        + f"""
import multiprocessing
def work(number):
    return number, works()
if __name__ == "__main__":
    works()
    with multiprocessing.get_context({method!r}).Pool(2) as pool:
        say(pool.map(work, range(8)) == [(n, works()) for n in range(8)])
        pool.close()
        pool.join()
""",
        options=FORK_BESIDE_THREADS,
    ).expect("True")

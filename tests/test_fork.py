"""A forked child works at once, whatever the parent was doing, and the parent goes on."""

from __future__ import annotations

import pytest

from fork_programs import PROGRAM, WORKS
from subprocess_tools import FORK_BESIDE_THREADS, STRICT, run_program

TIMES = {
    "before the first use": ("pass", "pass"),
    "after the first use": ("works()", "pass"),
    "with a reserve portal": (
        """
async def nested():
    return syncify(one)()
warnings.simplefilter('ignore', ReentrantCallWarning)
syncify(nested)()
""",
        "syncify(nested)()",
    ),
    "after the portal was stopped": ("get_default_portal().call(get_default_portal().stop)", "pass"),
    "after a child of its own": ("works(); child(works)", "pass"),
}


@pytest.mark.parametrize("leave", ["lambda: os._exit(0)", "sys.exit"], ids=["os._exit", "sys.exit"])
@pytest.mark.parametrize(("before", "after"), TIMES.values(), ids=TIMES)
def test_child_and_parent_work(before: str, after: str, leave: str) -> None:
    """Whatever came before the fork, child and parent both work, and both exit in silence, status 0. proves: P2, P3, P5"""
    run_program(
        PROGRAM
        + f"""
if True:
    {before.strip().replace(chr(10), chr(10) + "    ")}
child(lambda: say("child", works()), {leave})
{after}
say("parent", works())
""",
        options=STRICT,
    ).expect(f"child {WORKS}", f"parent {WORKS}")


def test_exit_of_the_child_ends_the_calls_of_the_child_only() -> None:
    """At its exit a forked child cancels its own call in flight; the one of its parent goes on to its value.

    proves: P3, P5, S4
    """
    run_program(
        PROGRAM
        + """
release = threading.Event()
async def until_released():
    started.release()
    while not release.is_set():
        await asyncio.sleep(0.001)
    say("parent's value")
thread = in_thread(syncify(until_released))
assert started.acquire(timeout=30)
def in_child():
    in_thread(syncify(endless), "child")
    assert started.acquire(timeout=30)
child(in_child, sys.exit)
release.set()
thread.join()
""",
        options=STRICT,
    ).expect("finally child", "parent's value")


def test_fork_while_calls_are_in_flight() -> None:
    """A fork beside calls in flight, both directions: the child works, the parent's calls end with their own values.

    proves: P2, P5
    """
    run_program(
        PROGRAM
        + """
release = threading.Event()
async def until_released(number):
    started.release()
    await asyncify(release.wait)(10)
    return number
values = []
threads = [in_thread(lambda n=n: values.append(syncify(until_released)(n))) for n in range(8)]
for _ in threads:
    assert started.acquire(timeout=30)
for _ in range(3):
    child(lambda: say(works()))
release.set()
for thread in threads:
    thread.join()
say(sorted(values), works())
""",
        options=STRICT,
    ).expect(WORKS, WORKS, WORKS, f"{list(range(8))} {WORKS}")


def test_fork_while_the_first_use_races() -> None:
    """Children forked while other threads race for the first use all work, and so do the threads. proves: P1, P2"""
    finished = run_program(
        PROGRAM
        + """
barrier = threading.Barrier(9)
values = []
def first():
    barrier.wait(30)
    values.append(syncify(one)())
threads = [in_thread(first) for _ in range(8)]
barrier.wait(30)
for _ in range(6):
    child(lambda: say(works()))
for thread in threads:
    thread.join()
say(values, [t.name for t in threading.enumerate() if "portal" in t.name])
""",
        options=FORK_BESIDE_THREADS,
    )
    finished.expect(*[WORKS] * 6, f"{[1] * 8} ['gllm-default-portal']")


def test_fork_while_the_first_use_imports_the_backend() -> None:
    """A fork while another thread's first use is importing AnyIO's backend waits for that import, and the child works.

    proves: P2
    """
    run_program(
        PROGRAM
        + """
import importlib.abc
at_import, go, forked = threading.Event(), threading.Event(), threading.Event()
main = threading.get_ident()
def fork_waits():
    return sys._current_frames()[main].f_code.co_name == "_before_fork"
class Gate(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        at_import.set()
        go.wait(30)
        while not forked.is_set() and not fork_waits():
            time.sleep(0.001)
sys.meta_path.insert(0, Gate())
thread = in_thread(lambda: (syncify(one)(), at_import.set()))
assert at_import.wait(30)
os.register_at_fork(before=go.set, after_in_parent=forked.set, after_in_child=forked.set)  # before the library's own hook
pid = os.fork()
if pid == 0:
    say("child", syncify(one)())
    os._exit(0)
say(os.waitpid(pid, 0)[1])
thread.join()
say("parent", works())
""",
        options=FORK_BESIDE_THREADS,
    ).expect("child 1", "0", f"parent {WORKS}")


@pytest.mark.parametrize("maker", ["syncify(one)", "lambda: asyncio.run(one())"], ids=["we do", "somebody else does"])
def test_fork_while_asyncio_makes_its_policy(maker: str) -> None:
    """A fork waits until asyncio has made its policy, which it does under a lock: no child finds that lock held.

    proves: P2
    """
    run_program(
        PROGRAM
        + """
made, go = threading.Event(), threading.Event()
policy = asyncio.DefaultEventLoopPolicy
def make():
    made.set()
    go.wait(30)
    return policy()
asyncio.DefaultEventLoopPolicy = make
os.register_at_fork(before=go.set)  # called before what was registered earlier
thread = in_thread(MAKER)
assert made.wait(30)
child(lambda: (signal.alarm(60), say("child", works())))
thread.join()
say("parent", works())
""".replace("MAKER", maker),
        options=FORK_BESIDE_THREADS,
    ).expect(f"child {WORKS}", f"parent {WORKS}")


def test_fork_while_a_lock_is_held() -> None:
    """A fork while another thread holds a lock of ours leaves a child that works and a parent that goes on. proves: P2"""
    run_program(
        PROGRAM
        + """
works()
held, release = threading.Event(), threading.Event()
def hold():
    with room.portals.default().dispatcher._lock:
        held.set()
        release.wait(30)
thread = in_thread(hold)
assert held.wait(30)
child(lambda: say("child", works()))
release.set()
thread.join()
say("parent", works())
""",
        options=STRICT,
    ).expect(f"child {WORKS}", f"parent {WORKS}")


def test_grandchildren_and_a_prefork_server() -> None:
    """Children of children work; so do eight children that live beside each other, and the parent, after each.

    proves: P2, P5
    """
    run_program(
        PROGRAM
        + """
works()
child(lambda: (works(), child(lambda: (works(), child(lambda: say("great-grandchild", works()))))))
pids = []
for number in range(8):
    pid = os.fork()
    if pid == 0:
        os._exit(0 if [works() for _ in range(5)] == ["1 2 True"] * 5 else 1)
    pids.append(pid)
    works()
say([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids], works())
""",
        options=STRICT,
    ).expect(f"great-grandchild {WORKS}", f"{[0] * 8} {WORKS}")

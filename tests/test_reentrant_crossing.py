"""Loops that come to wait for each other, where no context tells of it: each in a process of its own, as it may hang."""

from __future__ import annotations

import pytest

from subprocess_tools import COMMON, STRICT, run_program

PRELUDE = (
    COMMON
    + """
from contextvars import Context
from anyio.from_thread import start_blocking_portal

warnings.simplefilter("ignore", ReentrantCallWarning)
warnings.simplefilter("ignore", BlockedLoopWarning)

def thread_name():
    return threading.current_thread().name

async def name():
    return thread_name()
"""
)


def test_a_task_left_on_a_reserve_portal_may_call() -> None:
    """What runs on, on a reserve portal, after the call that had it, and calls: a re-entrant call below that does not wait for
    the very portal that this blocks. proves: S8
    """
    run_program(
        PRELUDE
        + """
async def calls_again():
    return thread_name(), syncify(name)()

async def runs_on():
    left.append(asyncio.current_task())
    await gate.wait()
    return syncify(calls_again)()

async def inner():
    global gate
    gate = asyncio.Event()
    task = asyncio.create_task(runs_on())
    await asyncio.sleep(0)
    return thread_name(), asyncio.get_running_loop()

async def outer():
    return syncify(inner)()

async def result(task):
    return await task

left = []
reserve, loop = syncify(outer)()
loop.call_soon_threadsafe(gate.set)
print(reserve, asyncio.run_coroutine_threadsafe(result(left[0]), loop).result(30))
""",
        options=STRICT,
    ).expect("gllm-reserve-portal-0 ('gllm-default-portal', 'gllm-reserve-portal-1')")


def test_two_loops_that_call_each_other_at_once() -> None:
    """Of two calls, each of which blocks the loop that the other one targets, at least one gets a reserve portal. proves: S8"""
    run_program(
        PRELUDE
        + """
with start_blocking_portal(name="one") as one, start_blocking_portal(name="two") as two:
    for _ in range(50):
        barrier = threading.Barrier(2)

        async def calls(other):
            barrier.wait(30)
            return syncify(name, portal=other)()

        first = in_thread(syncify(calls, portal=one), two)
        syncify(calls, portal=two)(one)
        first.join()
say("ended")
""",
        options=STRICT,
    ).expect("ended")


def test_what_has_no_context_on_a_loop_that_a_chain_waits_for() -> None:
    """A callback with an empty context, on the loop that a blocked one waits for, is below that chain; so is what it calls by
    way of a worker thread, which has that context. proves: S8, S9
    """
    run_program(
        PRELUDE
        + """
async def by_way_of_a_worker():
    return await asyncify(syncify(name))()

def callback(done, found):
    found += [syncify(name)(), syncify(by_way_of_a_worker)()]
    done.set()

async def on_another():
    done, found = asyncio.Event(), []
    asyncio.get_running_loop().call_soon(callback, done, found, context=Context())
    await done.wait()
    return found

with start_blocking_portal() as portal:
    async def outer():
        return syncify(on_another, portal=portal)()
    say(syncify(outer)())
""",
        options=STRICT,
    ).expect("['gllm-reserve-portal-0', 'gllm-reserve-portal-0']")


@pytest.mark.parametrize("level", [1, 2])
def test_finalizers_all_along_the_birth_of_a_reserve_portal(level: int) -> None:
    """Wherever in the birth of a reserve portal a finalizer calls, it does not wait for the loop that waits for that birth.

    proves: S8, S4
    """
    finished = run_program(
        PRELUDE
        + """
calls = 0

class Calls:
    def __del__(self):
        global calls
        calls += syncify(one)()

def profiler(frame, event, arg):
    if thread_name() != reserve or asyncio._get_running_loop() is not None:
        sys.setprofile(None)
    else:
        Calls()

reserve = f"gllm-reserve-portal-{int(sys.argv[1]) - 1}"
threading.setprofile(profiler)

async def nested(depth):
    return syncify(nested)(depth - 1) if depth else thread_name()

say(syncify(nested)(int(sys.argv[1])))
say(calls > 50)
""",
        str(level),
        options=STRICT,
    )
    finished.expect(f"gllm-reserve-portal-{level - 1}", "True")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_finalizers_all_along_the_birth_of_the_default_portal(backend: str) -> None:
    """A finalizer in the birth of the default portal that calls to the loop whose call waits for that birth gets a reserve
    portal. proves: S8, S4, P1
    """
    run_program(
        PRELUDE
        + """
calls = 0

class Calls:
    def __del__(self):
        global calls
        calls += syncify(one, portal=portal)()

def profiler(frame, event, arg):
    if thread_name() != "gllm-default-portal" or asyncio._get_running_loop() is not None:
        sys.setprofile(None)
    else:
        Calls()

async def outer():
    return syncify(name)()

with start_blocking_portal(sys.argv[1]) as portal:
    threading.setprofile(profiler)
    say(syncify(outer, portal=portal)())
    say(calls > 50)
""",
        backend,
        options=STRICT,
    ).expect("gllm-default-portal", "True")


@pytest.mark.parametrize("born", ["gllm-worker-1", "gllm-portal-attach"])
def test_a_finalizer_in_the_first_steps_of_a_thread(born: str) -> None:
    """A finalizer in the first steps of a thread of ours that calls to the loop that waits for these gets a reserve portal.

    proves: S8, S4
    """
    run_program(
        PRELUDE
        + """
class Calls:
    def __del__(self):
        say(syncify(name)())

set_ident = threading.Thread._set_ident
def calls_first(thread):
    if thread.name == sys.argv[1]:
        Calls()
    set_ident(thread)
threading.Thread._set_ident = calls_first

async def starts_both():
    await asyncify(thread_name)()
    syncify(name, portal=another)()

with start_blocking_portal("trio") as another:  # as it is on trio, it has a thread attach it
    syncify(starts_both)()
""",
        born,
        options=STRICT,
    ).expect("gllm-reserve-portal-0")

"""Garbage that is collected on the thread of a reserve portal, in whatever context that has, and needs a blocked loop."""

from __future__ import annotations

import pytest

from subprocess_tools import COMMON, STRICT, run_program

PROGRAM = """
from contextvars import Context

warnings.simplefilter("ignore", ReentrantCallWarning)
warnings.simplefilter("ignore", BlockedLoopWarning)
gc.collect()
gc.disable()  # the collector comes where it is called

garbage, place, portal, level = sys.argv[1:]
level = int(level)
if portal == "trio":
    import anyio.from_thread
    ending = anyio.from_thread.start_blocking_portal("trio")
    portal = ending.__enter__()
    atexit.register(ending.__exit__, None, None, None)
else:
    portal = get_default_portal()
home = portal.call(threading.get_ident)
closed = threading.Semaphore(0)

async def numbers():
    try:
        while True:
            yield 1
    finally:
        say("closed, at home:", threading.get_ident() == home)
        closed.release()

async def works():
    await anyio.sleep(0)
    return "worked"

class Calls:
    def __init__(self):
        self.me = self

    def __del__(self):
        say(syncify(works, portal=portal)())
        closed.release()

class HasStream:
    def __init__(self):
        self.me = self
        self.stream = syncify_iterator(numbers, portal=portal)()
        next(self.stream)

leave_garbage = {"a call": Calls, "a stream": HasStream}[garbage]

def on_the_reserve():
    return threading.get_ident() != home

async def collect():
    assert on_the_reserve()
    if place == "coroutine":
        gc.collect()
    elif place == "callback":
        done = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: (gc.collect(), done.set()), context=Context())
        await done.wait()
    else:
        await asyncify(takes_it)(CollectsAtItsEnd())

class CollectsAtItsEnd:
    def __del__(self):
        if place == "a worker's end":
            gc.collect()

def takes_it(it):
    del it

async def nested(depth):
    if depth:
        return syncify(nested, portal=portal)(depth - 1)
    await collect()

born = "gllm-worker-1" if "worker" in place else f"gllm-reserve-portal-{level - 1}"
if place in ("birth", "a worker's birth"):
    def profiler(frame, event, arg):
        if threading.current_thread().name == born:
            gc.collect()
        sys.setprofile(None)
    threading.setprofile(profiler)
elif "nameless" in place:
    set_ident = threading.Thread._set_ident
    def collect_first(thread):
        if thread.name == born:
            gc.collect()
        set_ident(thread)
    threading.Thread._set_ident = collect_first

leave_garbage()
syncify(nested, portal=portal)(level)
say("returned")
assert closed.acquire(timeout=30)
"""

PLACES = [
    "coroutine",
    "callback",
    "birth",
    "birth, nameless",
    "a worker's birth",
    "a worker's birth, nameless",
    "a worker's end",
]


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("portal", ["default", "trio"])
@pytest.mark.parametrize("garbage", ["a call", "a stream"])
def test_garbage_of_a_reserves_thread_does_not_wait_for_the_chain(garbage: str, place: str, portal: str, level: int) -> None:
    """A finalizer on the reserve portal that a call waits for, or on a worker thread of that, does not wait for the loop that
    this call blocks. It makes its own call on another reserve portal, and a stream is closed on its own loop as soon as that
    turns again. proves: S8, S4, I3
    """
    finished = run_program(COMMON + PROGRAM, garbage, place, portal, str(level), options=STRICT)
    if garbage == "a call":
        finished.expect("worked", "returned")
    else:
        finished.expect(*finished.lines)
        assert sorted(finished.lines) == ["closed, at home: True", "returned"]

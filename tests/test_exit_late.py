"""Calls that come after the main thread's end: from threads, `atexit` and finalization."""

from __future__ import annotations

import pytest

from subprocess_tools import COMMON, STRICT, run_program

LATE = (
    COMMON
    + """
def attempt(name, func, say=say):
    try:
        say(name, func())
    except RuntimeError as error:
        say(name, type(error).__name__)

def threads_can_start():
    try:
        threading.Thread(target=int).start()
    except RuntimeError:
        return False
    return True

def through_asyncio():
    return asyncio.run(asyncify(lambda: 2)())
"""
)

OWN_THREADS: dict[str, str] = {
    "non-daemon thread": "in_thread(call, daemon=False)",
    "executor thread": "concurrent.futures.ThreadPoolExecutor().submit(call)",
    "threading's own exit handler": "threading._register_atexit(call)",
}


@pytest.mark.parametrize("start", OWN_THREADS.values(), ids=OWN_THREADS)
def test_what_python_waits_for_at_exit_keeps_the_portal(start: str) -> None:
    """Python joins non-daemon threads before it shuts the portal down: their calls, in flight or new, still work.

    proves: P3, P4
    """
    finished = run_program(
        COMMON
        + f"""
import concurrent.futures.thread
main_is_over = threading.Event()
async def until_main_is_over():
    while not main_is_over.is_set():
        await asyncio.sleep(0.001)
    return 2
def call():
    say(syncify(until_main_is_over)())
    say([syncify(one)() for _ in range(100)] == [1] * 100)
syncify(one)()
{start}
threading._register_atexit(main_is_over.set)  # the last one registered is the first one called
""",
        options=STRICT,
    )
    finished.expect("2", "True")


@pytest.mark.parametrize("used", ["nothing", "portal", "worker", "portal and worker"])
def test_atexit_callbacks_can_use_the_bridge(used: str) -> None:
    """An `atexit` callback calls through a running portal or idle worker; else through new threads, where Python starts any.

    proves: P4
    """
    # Python 3.12+ may refuse to start threads at exit: then `PortalNotRunningError`, or asyncify's plain `RuntimeError`.
    finished = run_program(
        LATE
        + f"""
if "portal" in {used!r}:
    syncify(one)()
if "worker" in {used!r}:
    through_asyncio()
@atexit.register
def at_exit():
    attempt("syncify", syncify(one))
    attempt("asyncify", through_asyncio)
    say(threads_can_start())
""",
        options=STRICT,
    )
    can = finished.lines[-1] == "True"
    finished.expect(
        "syncify 1" if can or "portal" in used else "syncify PortalNotRunningError",
        "asyncify 2" if can or "worker" in used else "asyncify RuntimeError",
        str(can),
    )


FINALIZERS: dict[str, str] = {
    "__del__ of a global": """
class Late:
    def __del__(self):
        attempt("late", syncify(one))
late = Late()
""",
    "__del__ of a global, wrapped before": """
call = syncify(one)
class Late:
    def __del__(self, attempt=attempt, call=call):
        attempt("late", call)
late = Late()
""",
    "__del__ in a cycle": """
class Late:
    def __init__(self):
        self.me = self
    def __del__(self, attempt=attempt, call=syncify(one)):
        attempt("late", call)
late = Late()
gc.disable()
""",
    "__del__ of what outlives every module": """
import builtins
class Late:
    def __del__(self, attempt=attempt, call=syncify(one)):
        attempt("late", call)
builtins.late = Late()
""",
    "weakref callback": """
del room
class Target: pass
sys._cleared_first = Target()
sys.late = weakref.ref(sys._cleared_first, lambda _, attempt=attempt, call=syncify(one): attempt("late", call))
""",
    "weakref callback, our modules emptied": """
import gllm_core.concurrency  # a name of __main__, which the callback keeps alive: Python empties what is left of modules
class Target: pass
sys._cleared_first = Target()
sys.late = weakref.ref(sys._cleared_first, lambda _, attempt=attempt, call=syncify(one): attempt("late", call))
""",
    "get_default_portal in __del__": """
import builtins
class Late:
    def __del__(self, attempt=attempt, call=get_default_portal):
        attempt("late", call)
builtins.late = Late()
""",
    "an atexit callback older than the import": "",
}


@pytest.mark.parametrize("used", [False, True], ids=["unused", "used"])
@pytest.mark.parametrize("late", FINALIZERS.values(), ids=FINALIZERS)
def test_a_call_after_the_shutdown_is_refused(late: str, used: bool) -> None:
    """From `__del__` and weakref callbacks during finalization, and from older `atexit` callbacks: `PortalNotRunningError`.

    proves: P4
    """
    older = "" if late else 'import atexit\natexit.register(lambda: attempt("late", syncify(one)))\n'
    finished = run_program(older + LATE + late + ("\nsyncify(one)()" if used else ""))
    finished.expect("late PortalNotRunningError")


def test_threads_that_go_on_calling_end_in_silence() -> None:
    """Daemonic threads that call without a pause while the interpreter exits neither hang it nor write anything.

    proves: P3, P4
    """
    finished = run_program(
        COMMON
        + """
def for_ever():
    call = syncify(one)
    while True:
        call()
        started.release()
for _ in range(4):
    in_thread(for_ever)
for _ in range(8):
    assert started.acquire(timeout=30)
"""
    )
    finished.expect()


def test_spawned_children_exit_as_their_parent_does() -> None:
    """A spawned child with the portal in use, and a call in flight, ends with status 0 and in silence. proves: P3, P5"""
    finished = run_program(
        COMMON
        + """
import multiprocessing
def child():
    in_thread(syncify(endless))
    assert started.acquire(timeout=30)
    say(syncify(one)())
if __name__ == "__main__":
    process = multiprocessing.get_context("spawn").Process(target=child)
    process.start()
    process.join()
    say(process.exitcode)
""",
        options=STRICT,
    )
    finished.expect("1", "finally endless", "0")


def test_an_awaiter_that_is_dropped_at_the_very_end_goes_in_silence() -> None:
    """An awaiter that a closed loop has left waiting, and that goes with the program's globals, is silent. proves: P3"""
    run_program(
        """
import asyncio, threading
from gllm_core.concurrency import asyncify, in_flight

async def begin():
    task = asyncio.create_task(asyncify(leave.wait)())
    while not [call for call in in_flight() if call.state == "running"]:
        await asyncio.sleep(0)
    return task

leave = threading.Event()
loop = asyncio.new_event_loop()
loop.set_exception_handler(lambda *_: None)  # it complains of what is lost
KEPT = loop.run_until_complete(begin())
loop.close()
leave.set()
while in_flight():  # the function's thread has the awaiter until then
    pass
print("end")
"""
    ).expect("end")

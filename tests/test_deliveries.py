"""What is on its way to a loop when that is closed, or when one delivery fails: nobody waits for ever."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from gllm_core.concurrency import _delivery
from gllm_core.concurrency._delivery import send
from subprocess_tools import COMMON, FORK_BESIDE_THREADS, run_program

# In programs: each was a hang, which no time-out inside this process would end.


@pytest.mark.parametrize("order", ["closed after the grant", "closed before the return"])
def test_a_lender_does_not_wait_for_a_borrower_of_a_closed_loop(order: str) -> None:
    """A loan that was granted to a task whose loop is closed before it hears of that returns to the lender. proves: S4, A13"""
    run_program(
        COMMON
        + f"late = {order == 'closed before the return'}"
        + """
from anyio.from_thread import BlockingPortal
from anyio.to_thread import current_default_thread_limiter

loop = asyncio.new_event_loop()
loop.set_exception_handler(lambda *_: None)  # tasks are destroyed while they are pending: on purpose
leave, over = threading.Event(), threading.Event()

def borrower():
    started.release()
    leave.wait(30)

async def below():
    async with anyio.create_task_group() as group:
        group.start_soon(asyncify(borrower))
        group.start_soon(asyncify(int))

async def enter():
    current_default_thread_limiter().total_tokens = 1
    portal = await BlockingPortal().__aenter__()
    def lender():
        try:
            syncify(below, portal=portal)()
        except PortalNotRunningError:
            say("refused")
        finally:
            over.set()
    task = asyncio.ensure_future(asyncify(lender)())
    while not (started.acquire(blocking=False) or current_default_thread_limiter().statistics().tasks_waiting):
        await asyncio.sleep(0)
    while not current_default_thread_limiter().statistics().tasks_waiting:
        await asyncio.sleep(0)
    return portal, task

kept = loop.run_until_complete(enter())  # from here on, the loop stands still
if late:
    loop.close()
    leave.set()
else:
    scheduled = len(loop._ready)
    leave.set()
    while len(loop._ready) == scheduled:  # until the loan was granted
        pass
    loop.close()
say(over.wait(30))
os._exit(0)
"""
    ).expect("refused", "True")


def test_a_delivery_that_fails_does_not_hold_up_the_others() -> None:
    """A log filter that exits, as an abandoned function's error is logged, is not a matter of the next call. proves: A3, A6"""
    run_program(
        COMMON
        + """
logging.raiseExceptions = False
def exits(record):
    raise SystemExit(3)
logging.getLogger("gllm_core.concurrency").addFilter(exits)
first, second = threading.Event(), threading.Event()
returned = threading.Semaphore(0)

def fails():
    started.release()
    first.wait(30)
    returned.release()
    raise ValueError

def works():
    started.release()
    second.wait(30)
    returned.release()
    return "works"

from gllm_core.concurrency._asyncify import _of_thread

async def main():
    abandoned = asyncio.ensure_future(asyncify(fails, cancellable=True)())
    waits = asyncio.ensure_future(asyncify(works)())
    taken = 0
    while taken < 2:
        taken += started.acquire(blocking=False)
        await asyncio.sleep(0)
    abandoned.cancel()
    await asyncio.wait([abandoned])
    calls = _of_thread.loop.outbox._calls
    for count, event in enumerate((first, second), 1):  # in that order, and both before the loop turns again
        event.set()
        while len(calls) < count:
            pass
    done, _ = await asyncio.wait([waits], timeout=30)
    say([task.result() for task in done])

loop = asyncio.new_event_loop()
task = loop.create_task(main())
try:
    loop.run_until_complete(task)
except SystemExit as error:  # the filter's, out of the callback that delivered
    say("exit", error.code)
loop.run_until_complete(task)
"""
    ).expect("exit 3", "['works']")


def test_a_forked_child_has_the_token_that_tasks_of_its_parent_wait_for() -> None:
    """A released token goes to the next that waits: in a child, not to those that stayed with the parent. proves: P5, A3"""
    run_program(
        COMMON
        + """
limiter, leave = anyio.CapacityLimiter(1), threading.Event()

def hold():
    started.release()
    leave.wait(30)

async def main():
    await asyncio.gather(*(asyncify(hold, limiter=limiter)() for _ in range(3)))

thread = in_thread(asyncio.run, main())
assert started.acquire(timeout=30)
while limiter.statistics().tasks_waiting < 2:
    time.sleep(0.001)
child = os.fork()
if not child:
    say(asyncio.run(asyncio.wait_for(asyncify(lambda: "works", limiter=limiter)(), 30)))
    os._exit(0)
os.waitpid(child, 0)
leave.set()
thread.join(30)
say(thread.is_alive(), limiter.borrowed_tokens)
""",
        options=FORK_BESIDE_THREADS,
    ).expect("works", "False 0")


def test_an_anyio_that_does_not_let_us_look_still_cancels() -> None:
    """Where AnyIO has moved the table in which we look for shields, a cancellation arrives all the same. proves: S7"""
    run_program(
        COMMON
        + """
import types
get_default_portal()
async def main():
    sys.modules["anyio._backends._asyncio"] = types.SimpleNamespace()
    async with anyio.create_task_group() as group:
        group.start_soon(asyncify(syncify(endless)))
        while not started.acquire(blocking=False):
            await asyncio.sleep(0)
        group.cancel_scope.cancel()
asyncio.run(main())
say("over")
os._exit(0)
"""
    ).expect("finally endless", "over")


def test_a_delivery_that_its_loop_drops_acts_once() -> None:
    """A loop that is closed over what was sent to it has that act once, without the loop. proves: A3, S4

    Found by the explorer: `python -m schedules delivery_against_close`.
    """
    loop = asyncio.new_event_loop()
    acts: list[bool] = []
    assert send(loop.call_soon_threadsafe, loop.is_closed, acts.append)
    loop.close()
    assert acts == [False]
    assert not send(loop.call_soon_threadsafe, loop.is_closed, acts.append)
    assert acts == [False]


def test_a_delivery_that_cannot_succeed_is_given_up() -> None:
    """What raises whenever it is called ends after a few tries, each of which the loop reports: it does not turn for ever.

    proves: A3
    """
    loop, tries, reported = asyncio.new_event_loop(), list[bool](), list[Any]()
    loop.set_exception_handler(lambda _, context: reported.append(type(context["exception"])))  # itself, it kept the delivery

    def fails(on_loop: bool) -> None:
        tries.append(on_loop)
        raise ConnectionError

    async def turn() -> None:
        assert _delivery.send(loop.call_soon_threadsafe, loop.is_closed, fails)
        for _ in range(3 * _delivery.TRIES):
            await asyncio.sleep(0)

    loop.run_until_complete(turn())
    loop.close()
    gc.collect()
    assert tries == [True] * _delivery.TRIES
    assert reported == [ConnectionError] * _delivery.TRIES

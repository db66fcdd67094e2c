"""Orders of steps that are rare, brought about by force; and what must not outlive a call, a thread's job or the exit."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import warnings
import weakref
from contextvars import Context, copy_context
from typing import Any

import pytest

from gllm_core.concurrency import ReentrantCallWarning, _workers, asyncify, get_default_portal, syncify
from gllm_core.concurrency._call import Call
from gllm_core.concurrency._delivery import send
from gllm_core.concurrency._inflight import Job
from handshakes import WAIT_S
from subprocess_tools import COMMON, STRICT, run_program


class ImpatientCall(Call):
    """Its caller renews it the moment that it is done."""

    __slots__ = ()

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "done" and value:
            self.renew()


def test_a_call_renewed_as_it_is_told_has_a_doorbell_that_does_not_ring() -> None:
    """Whoever rings takes the doorbell before the caller can hang up another one.

    proves: S4
    """
    call = ImpatientCall(asyncio.sleep, (), {}, Context(), "sleep")
    call.ring()
    assert not call.done
    assert call.doorbell.locked()


def test_what_is_sent_as_a_loop_closes_acts_without_the_loop() -> None:
    """A loop that took a callback and turns out to be closed may never call it, nor let go of it.

    proves: A3
    """
    queue: list[Any] = []
    acts: list[bool] = []
    assert send(queue.append, lambda: True, acts.append)
    assert acts == [False]
    queue[0]()  # it calls it after all
    assert acts == [False]


def test_what_a_loop_drops_twice_acts_without_the_loop() -> None:
    """What is dropped on its way is sent once more, as an interrupt may have dropped it; dropped again, it acts, once.

    proves: A3
    """
    queue: list[object] = []
    acts: list[bool] = []
    assert send(queue.append, lambda: False, acts.append)
    queue.clear()
    assert (len(queue), acts) == (1, [])
    queue.clear()
    assert (queue, acts) == ([], [False])


class OvertakenJob(Job):
    """Its awaiter is cancelled just before a call is attached."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_calls" and value:
            self.cancel()
        super().__setattr__(name, value)


def test_a_call_attached_as_the_awaiter_is_cancelled_is_cancelled() -> None:
    """The call is attached first, and then the flag is looked at.

    proves: S7
    """
    cancelled = threading.Event()

    class Below:
        cancel = cancelled.set

    OvertakenJob(None).attach(Below())
    assert cancelled.is_set()


def test_what_runs_on_after_a_blocking_call_is_not_below_it_any_more() -> None:
    """A context copied below a call that blocked its loop is an ordinary one once that call is over.

    proves: S8
    """
    contexts: list[Context] = []

    async def inner() -> None:
        contexts.append(copy_context())

    async def outer() -> None:
        syncify(inner)()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReentrantCallWarning)
        syncify(outer)()

    async def where() -> str:
        return threading.current_thread().name

    assert contexts[0].run(syncify(where)) == syncify(where)() == get_default_portal().call(where)


@pytest.mark.parametrize("uses", [asyncify(int), asyncify(lambda: syncify(asyncio.sleep)(0))], ids=["function", "call below"])
def test_an_idle_worker_keeps_no_loop_alive(uses: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a function needed of its awaiter's loop is let go of when it has returned.

    proves: A10, A12
    """
    monkeypatch.setattr(_workers, "IDLE_TIMEOUT_S", 2 * WAIT_S)  # a worker that leaves lets go of everything
    loop = asyncio.new_event_loop()
    kept = weakref.ref(loop)
    loop.run_until_complete(uses())
    loop.close()
    del loop
    deadline = time.monotonic() + WAIT_S
    while kept() is not None and time.monotonic() < deadline:  # the worker may still be on its way out of the job
        gc.collect()
    assert kept() is None


def test_at_exit_finally_blocks_may_take_their_time() -> None:
    """What a cancelled call awaits in its `finally` block is not broken off while there is time.

    proves: P3
    """
    run_program(
        COMMON
        + """
room.SHUTDOWN_GRACE_S = GRACE_S
async def tidy():
    try:
        started.release()
        await anyio.sleep_forever()
    finally:
        await asyncio.sleep(0.2)
        say("tidy")
in_thread(syncify(tidy))
started.acquire()
""",
        options=STRICT,
    ).expect("tidy")

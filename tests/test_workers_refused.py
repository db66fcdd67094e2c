"""Worker threads that cannot be started, are interrupted, or fail, while jobs are queued: each job has one outcome."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import anyio
import pytest
from anyio import CapacityLimiter

from gllm_core.concurrency import _workers, asyncify
from handshakes import WAIT_S, Gate, all_tokens_come_back, turns
from marks import asyncio_only

REFUSAL = "can't start new thread"


class Jobs(deque[Any]):
    """The queue of jobs: a thread takes one when it *may_take*, and does nothing with it until *go*."""

    def __init__(self) -> None:
        super().__init__()
        self.may_take, self.taken, self.go = threading.Event(), threading.Event(), threading.Event()
        self.may_take.set()
        self.go.set()

    def popleft(self) -> Any:
        assert self.may_take.wait(WAIT_S)
        job = super().popleft()
        self.thread = threading.current_thread()
        self.taken.set()
        assert self.go.wait(WAIT_S)
        return job


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> Jobs:
    """The queue, with no idle threads, and none on its way."""
    jobs = Jobs()
    monkeypatch.setattr(_workers, "_jobs", jobs)
    monkeypatch.setattr(_workers, "_idle", [])
    monkeypatch.setattr(_workers, "_may_wake", [None])
    return jobs


@contextmanager
def starting(*starts: Callable[[], bool]) -> Iterator[None]:
    """One of *starts* after the other says whether a worker thread can be started; the last one goes for all that follow."""
    left, start = deque(starts), threading.Thread.start

    def start_or_refuse(thread: threading.Thread) -> None:
        if thread.name.startswith("gllm-worker-") and not (left.popleft() if len(left) > 1 else left[0])():
            raise RuntimeError(REFUSAL)
        start(thread)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", start_or_refuse)
        yield


def yes() -> bool:
    return True


def no() -> bool:
    return False


async def outcome(call: Callable[[], Any], limiter: CapacityLimiter | None = None) -> Any:
    """What the asyncified *call* returns, or the text of the RuntimeError that it raises."""
    with anyio.fail_after(WAIT_S):
        try:
            return await asyncify(call, limiter=limiter)()
        except RuntimeError as error:
            return str(error)


@pytest.mark.anyio
@asyncio_only
@pytest.mark.parametrize("late", ["taken", "not taken"])
async def test_a_job_behind_another_is_refused_where_no_thread_can_be_sent_for(jobs: Jobs, late: str) -> None:
    """The one thread runs the first call, also where that was not taken yet when the second came; the second gets the reason.

    proves: A3, A2
    """
    limiter, gate, ran = CapacityLimiter(2), Gate(), list[int]()
    hold = jobs.go if late == "taken" else jobs.may_take
    hold.clear()
    with starting(yes, no):
        first = asyncio.ensure_future(outcome(gate, limiter))
        second = asyncio.ensure_future(outcome(lambda: ran.append(1), limiter))
        await turns()
        hold.set()
        assert await second == REFUSAL
        assert (ran, limiter.borrowed_tokens) == ([], 1)
        gate.leave.set()
        assert await first == "through"
    assert await outcome(lambda: 7, limiter) == 7
    await all_tokens_come_back(limiter)


@pytest.mark.parametrize(("then", "expected"), [(no, REFUSAL), (yes, "ran")], ids=["still refused", "possible again"])
def test_who_relied_on_a_start_that_failed_hears_of_it(jobs: Jobs, then: Callable[[], bool], expected: str) -> None:
    """A call on another loop that relied on a thread whose start failed gets another, or the reason. proves: A3, A11"""
    begun, queued = threading.Event(), threading.Event()

    def fail_once_the_other_is_queued() -> bool:
        begun.set()
        assert queued.wait(WAIT_S)
        return False

    async def other() -> Any:
        assert begun.wait(WAIT_S)
        call = asyncio.ensure_future(outcome(lambda: "ran"))
        await turns()
        queued.set()
        return await call

    with ThreadPoolExecutor(1) as pool, starting(fail_once_the_other_is_queued, then):
        others = pool.submit(anyio.run, other)
        assert anyio.run(outcome, int) == REFUSAL
        assert others.result(WAIT_S) == expected
    assert not jobs


@pytest.mark.anyio
@asyncio_only
@pytest.mark.usefixtures("jobs")
async def test_a_job_that_a_thread_took_meanwhile_is_not_refused() -> None:
    """No thread can be started, but one that got free takes the call meanwhile: it runs, and has no error. proves: A2, A12"""
    first, second = Gate(), Gate()

    def refuse_once_it_runs() -> bool:
        first.leave.set()
        assert second.entered.acquire(timeout=WAIT_S)
        second.leave.set()
        return False

    with starting(yes, refuse_once_it_runs):
        outcomes = [asyncio.ensure_future(outcome(first))]
        await first.running()
        outcomes.append(asyncio.ensure_future(outcome(second)))
        assert await asyncio.gather(*outcomes) == ["through", "through"]
    assert second.thread is first.thread


def interrupt_after_the_start(monkeypatch: pytest.MonkeyPatch, until: Callable[[], object]) -> None:
    """Ctrl-C reaches the loop's thread when it has started a worker thread, and *until* has returned."""
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        monkeypatch.setattr(threading.Thread, "start", start)
        start(thread)
        assert until()
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)


@pytest.mark.anyio
@asyncio_only
async def test_an_interrupt_before_the_function_begins(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while a thread has the call, but has not begun it: it never begins, and its token is free. proves: A3, A4"""
    limiter, ran = CapacityLimiter(1), list[int]()
    monkeypatch.setattr(_workers, "IDLE_TIMEOUT_S", 0.01)
    jobs.go.clear()
    interrupt_after_the_start(monkeypatch, lambda: jobs.taken.wait(WAIT_S))
    with pytest.raises(KeyboardInterrupt):
        await asyncify(ran.append, limiter=limiter)(1)
    assert limiter.borrowed_tokens == 0
    jobs.go.set()
    jobs.thread.join(WAIT_S)  # it idles, and leaves
    assert not jobs.thread.is_alive()
    assert ran == []
    await all_tokens_come_back(limiter)


@pytest.mark.anyio
@asyncio_only
@pytest.mark.usefixtures("jobs")
async def test_an_interrupt_as_the_function_begins(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Ctrl-C when the function has begun leaves it running, with its token, and its error goes to the log. proves: A3, A6"""
    limiter, gate = CapacityLimiter(1), Gate(ValueError("nobody is there to have it"))
    interrupt_after_the_start(monkeypatch, lambda: gate.entered.acquire(timeout=WAIT_S))
    with caplog.at_level(logging.ERROR, "gllm_core.concurrency"), pytest.raises(KeyboardInterrupt):
        await asyncify(gate, limiter=limiter)()
    assert limiter.borrowed_tokens == 1
    gate.leave.set()
    await all_tokens_come_back(limiter)
    assert [record.exc_info[1] for record in caplog.records if record.exc_info] == [gate.error]


@pytest.mark.usefixtures("jobs")
def test_a_thread_outlives_a_log_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log filter that exits on a worker thread costs neither token nor thread, and is reported. proves: A8, A12, A3"""
    limiter, gate, reported = CapacityLimiter(1), Gate(ValueError("to be logged")), list[Any]()
    heard = threading.Event()

    def leave(record: logging.LogRecord) -> bool:
        raise SystemExit(3)

    def note(args: threading.ExceptHookArgs) -> None:
        reported.append((args.exc_type, args.thread))
        heard.set()

    async def abandon() -> None:
        task = asyncio.ensure_future(asyncify(gate, cancellable=True, limiter=limiter)())
        await gate.running()
        task.cancel()
        await asyncio.wait([task])

    monkeypatch.setattr(threading, "excepthook", note)
    logger = logging.getLogger("gllm_core.concurrency")
    logger.addFilter(leave)
    try:
        anyio.run(abandon)
        gate.leave.set()
        assert heard.wait(WAIT_S)
    finally:
        logger.removeFilter(leave)
    assert reported == [(SystemExit, gate.thread)]
    assert anyio.run(outcome, threading.current_thread, limiter) is gate.thread
    assert limiter.borrowed_tokens == 0


class Noted:
    """A job that says what became of it."""

    def __init__(self) -> None:
        self.became: list[str] = []

    def work(self) -> None:
        self.became.append("done")

    def report(self) -> None:
        self.became.append("reported")

    def refuse(self, error: RuntimeError) -> None:
        self.became.append(str(error))


def test_a_job_that_relied_on_a_thread_which_found_nothing_is_done_by_it(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that comes when a woken thread has looked in vain, and has not given the turn back yet, is not left lying.

    proves: A2, A12
    """
    late = Noted()

    class Turn(list[None]):
        def __setitem__(self, *args: Any) -> None:  # just before it is given back, somebody else finds it gone
            if not late.became and late not in jobs:
                _workers.start(late)
            super().__setitem__(*args)

    monkeypatch.setattr(_workers, "_may_wake", Turn())
    doorbell = threading.Lock()
    _workers._work(doorbell)
    assert late.became == ["done", "reported"]
    assert _workers._idle == [doorbell]

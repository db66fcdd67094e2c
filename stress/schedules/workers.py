"""The cache of worker threads, by itself: hand-off, idling, threads that cannot be started."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from gllm_core.concurrency.testing.explore import calm

from .model import scenario, together


class Job:
    """A job that notes its one outcome."""

    def __init__(self, work: Callable[[], object] = int) -> None:
        self.work = work
        self.outcomes: list[str] = []
        self.over = threading.Event()

    def report(self) -> None:
        self._end("done")

    def refuse(self, error: RuntimeError) -> None:
        self._end("refused")

    def _end(self, outcome: str) -> None:
        self.outcomes.append(outcome)
        self.over.set()


def _start(job: Job) -> None:
    """Have it done; where no thread can be started, that is its outcome."""
    from gllm_core.concurrency import _workers

    try:
        _workers.start(job)
    except RuntimeError:
        job.refuse(RuntimeError())


def _check(*jobs: Job) -> None:
    """Each job ends, once, and the cache is as it should be when nothing goes on."""
    for job in jobs:
        job.over.wait()
        assert len(job.outcomes) == 1, job.outcomes
    from gllm_core.concurrency import _workers

    with calm():
        time.sleep(_workers.IDLE_TIMEOUT_S * 2)
    assert not _workers._jobs
    assert not _workers._idle
    assert _workers._may_wake == [None]


def _warm(workers: int) -> None:
    """Have so many idle threads."""
    gates = [threading.Event() for _ in range(workers)]
    jobs = [Job(gate.wait) for gate in gates]
    for job, gate in zip(jobs, gates, strict=True):
        _start(job)
        time.sleep(0.001)  # virtual: its thread has begun it
        gate.set()
    for job in jobs:
        job.over.wait()
    time.sleep(0.001)  # and all are idle


@scenario("_workers", preemptions=3, quick=True)
def job_for_a_new_worker() -> None:
    """A job is handed to a thread that is started for it."""
    job = Job()
    _start(job)
    _check(job)


@scenario("_workers", preemptions=2, quick=True)
def job_after_job() -> None:
    """The next job comes while the thread of the one before is about to idle."""
    first, second = Job(), Job()
    with calm():
        _warm(1)
    _start(first)
    _start(second)
    _check(first, second)


@scenario("_workers", actors=3)
def two_jobs_for_one_worker() -> None:
    """Two threads have jobs, and one thread is idle: one wakes it, the other starts one or leaves the job to it."""
    with calm():
        _warm(1)
    jobs = Job(), Job()
    together(*(lambda job=job: _start(job) for job in jobs))
    _check(*jobs)


@scenario("_workers", actors=3, quick=True)
def job_that_waits_for_another() -> None:
    """A job that waits for one that came after it: whoever takes the first sends for a thread for the second."""
    done = threading.Event()
    with calm():
        _warm(1)
    first, second = Job(done.wait), Job(done.set)
    _start(first)
    _start(second)
    _check(first, second)


@scenario("_workers", preemptions=2, quick=True)
def job_as_the_worker_leaves() -> None:
    """A job comes at the very moment at which the idle thread leaves."""
    from gllm_core.concurrency import _workers

    with calm():
        _warm(1)
    time.sleep(_workers.IDLE_TIMEOUT_S - 0.001)
    job = Job()
    _start(job)
    _check(job)


@scenario("_workers", faults=["timeout"], preemptions=2)
def worker_that_leaves_early() -> None:
    """An idle thread's time is over at any moment."""
    with calm():
        _warm(1)
    first, second = Job(), Job()
    _start(first)
    first.over.wait()
    _start(second)
    _check(first, second)


@scenario("_workers", actors=3, faults=["timeout"])
def workers_that_leave_under_a_job() -> None:
    """The same with two idle threads: one that leaves as it is asked leaves the job to the other, or to a new one."""
    with calm():
        _warm(2)
    job = Job()
    _start(job)
    _check(job)


@scenario("_workers", actors=3, faults=["start"])
def no_thread_for_one_of_two_jobs() -> None:
    """No thread can be started: that job's caller hears of it, or another thread does it."""
    jobs = Job(), Job()
    together(*(lambda job=job: _start(job) for job in jobs))
    _check(*jobs)


@scenario("_workers", actors=3, faults=["start"])
def no_thread_for_a_job_beside_an_idle_worker() -> None:
    """The same beside an idle thread, which jobs that wait for each other need both."""
    done = threading.Event()

    class Second(Job):
        def refuse(self, error: RuntimeError) -> None:
            super().refuse(error)
            done.set()

    with calm():
        _warm(1)
    first, second = Job(done.wait), Second(done.set)
    together(lambda: _start(first), lambda: _start(second))
    _check(first, second)


@scenario("_workers", actors=3, quick=True)
def job_as_a_thread_finds_nothing() -> None:
    """A thread finds that another one was quicker as the next job comes, which relies on it."""
    gate = threading.Event()
    busy, first, second = Job(gate.wait), Job(), Job()
    with calm():
        _start(busy)
        time.sleep(0.001)
    _start(first)
    gate.set()
    first.over.wait()
    _start(second)
    _check(busy, first, second)


@scenario("_workers", actors=3, quick=True)
def one_thread_for_two_jobs() -> None:
    """A thread was started for the first job, and there can be no other one: the first job is done, in any case."""
    from gllm_core.concurrency import _workers

    started: list[threading.Thread] = []

    class OnlyOne(_workers.WorkerThread):
        def start(self) -> None:
            if started:
                raise RuntimeError("can't start new thread")
            started.append(self)
            super().start()

    _workers.WorkerThread = OnlyOne  # type: ignore[misc]
    first, second = Job(), Job()
    _start(first)
    _start(second)
    _check(first, second)
    assert first.outcomes == ["done"]


@scenario("_workers", preemptions=2, quick=True)
def report_that_raises() -> None:
    """A job whose report raises costs nobody the thread."""

    class Broken(Job):
        def report(self) -> None:
            super().report()
            raise SystemExit

    with calm():
        _warm(1)
    first, second = Broken(), Job()
    _start(first)
    _start(second)
    _check(first, second)

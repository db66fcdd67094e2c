"""The process-wide cache of worker threads for asyncio: daemonic, named, reused last in first out, gone after idling.

trio's thread cache is the model, with one difference: not every job wakes a thread. A woken thread needs the interpreter, so
jobs that are short are done by the thread that has it before others have come up; hence at most one thread at a time is
on its way. Before a thread begins a job, which may block for long, it sends for another one if there are more.

The operations used on lists and deques are atomic, so the cache needs no lock, and a fork cannot leave one held.

Why no job is left lying: who adds a job then tries to take `_may_wake`; if it is gone, a thread is on its way. That takes a
job, gives `_may_wake` back, and *then* looks for more jobs: those of all who relied on it.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections import deque
from contextlib import suppress
from operator import methodcaller
from typing import Protocol

from ._chain import chains
from ._threads import WorkerThread, refuse_greenlets

IDLE_TIMEOUT_S = 10.0
STAGGER_S = 0.005
"""Each idle thread stays by so much longer than those below it: a thousand that leave at once would starve the rest."""


class Work(Protocol):
    """What a thread does. None of the three may raise."""

    def work(self) -> None:
        """Run the function."""

    def report(self) -> None:
        """Say that it has returned."""

    def refuse(self, error: RuntimeError) -> None:
        """Say that it will not run."""


_jobs: deque[Work] = deque()
_idle: list[threading.Lock] = []
"""The doorbells of the threads that have nothing to do; the last one is rung first."""
_may_wake: list[None] = [None]
"""Taken by whoever wakes a thread. Given back as one, not as one more: an interrupt may make two give it back."""
_numbers = itertools.count(1)


def _run() -> None:
    """A thread's life. It is started for a job that is queued already, so nobody rings for the first one."""
    doorbell = threading.Lock()
    doorbell.acquire()
    while True:
        _work(doorbell)
        if not doorbell.acquire(timeout=IDLE_TIMEOUT_S + STAGGER_S * len(_idle)):
            try:
                _idle.remove(doorbell)
            except ValueError:  # it was rung just now
                doorbell.acquire()
            else:
                return


def _work(doorbell: threading.Lock) -> None:
    job = _next_job()
    _may_wake[:] = [None]
    job = job or _next_job()
    while job is not None:
        if _jobs:
            _send_for_another()
        job.work()
        more = bool(_jobs)
        if not more:  # idle before the report is out, so that the next call of the same awaiter finds this thread
            _idle.append(doorbell)
        try:
            job.report()
        except BaseException as error:  # noqa: BLE001 # a log handler, say; the thread must live, as it may be idle already
            args = (type(error), error, error.__traceback__, threading.current_thread())
            threading.excepthook(threading.ExceptHookArgs(args))
        if not more:
            return
        job = _next_job()
    _idle.append(doorbell)


def _next_job() -> Work | None:
    try:
        return _jobs.popleft()
    except IndexError:  # another thread was quicker
        return None


def start(job: Work) -> None:
    """Have *job* done on a worker thread.

    Raises:
        RuntimeError: no thread is idle and none can be started; *job* was not begun.
    """
    try:
        _jobs.append(job)
        _wake_one()
    except BaseException as error:
        mine = _withdraw(job)
        _wake_for_others()
        if mine or not isinstance(error, RuntimeError):
            raise


def _wake_for_others() -> None:
    """Those who added a job while this thread tried to wake a worker, and failed, rely on that."""
    while _jobs:
        try:
            return _wake_one()
        except RuntimeError as error:
            with suppress(IndexError):
                _jobs.popleft().refuse(error)


def _wake_one() -> None:
    try:
        try:
            _may_wake.pop()
        except IndexError:  # one is on its way
            return
        try:
            _ring()
        except IndexError:
            refuse_greenlets()
            chains.start(WorkerThread(target=_run, name=f"gllm-worker-{next(_numbers)}", daemon=True))
    except BaseException:
        _may_wake[:] = [None]
        raise


def _ring() -> None:
    """Take an idle thread and ring for it, in one call into C: a thread taken and never rung for would never leave."""
    next(map(_release, iter(_idle.pop, None)))


_release = methodcaller("release")


def _send_for_another() -> None:
    try:
        _wake_one()
    except RuntimeError as error:
        with suppress(IndexError):  # left lying, it might wait for the very function that begins here
            _jobs.popleft().refuse(error)


def _withdraw(job: Work) -> bool:
    try:
        _jobs.remove(job)
    except ValueError:  # a thread has taken it
        return False
    return True


def _forget_parent() -> None:
    """The threads stayed with the parent, and so did their jobs."""
    _idle.clear()
    _jobs.clear()
    _may_wake[:] = [None]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)

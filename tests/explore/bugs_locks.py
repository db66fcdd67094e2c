"""Classic bugs of locks, conditions and semaphores."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any

from explore.catalogue import Catalogue, together
from gllm_core.concurrency.testing.explore import Kind

catalogue = Catalogue(__name__)


@catalogue.add(Kind.DEADLOCK)
def lock_order(fixed: bool) -> None:
    one, other = threading.Lock(), threading.Lock()

    def transfer(first: Any, second: Any) -> None:
        with first, second:
            pass

    together(lambda: transfer(one, other), lambda: transfer(one, other) if fixed else transfer(other, one))


@catalogue.add(Kind.DEADLOCK, traced=False, preemptions=1)
def philosophers(fixed: bool) -> None:
    forks = [threading.Lock() for _ in range(3)]

    def dine(left: int, right: int) -> None:
        if fixed:
            left, right = sorted((left, right))
        with forks[left], forks[right]:
            pass

    together(lambda: dine(0, 1), lambda: dine(1, 2), lambda: dine(2, 0))


@catalogue.add(Kind.DEADLOCK)
def missed_notify(fixed: bool) -> None:
    """The notifier came before the wait, and nobody looked."""
    condition = threading.Condition()
    ready: list[int] = []

    def wait() -> None:
        with condition:
            if not fixed or not ready:
                condition.wait()

    def notify() -> None:
        with condition:
            ready.append(1)
            condition.notify()

    together(wait, notify)


@catalogue.add(Kind.EXCEPTION, traced=False, preemptions=1)
def missing_recheck(fixed: bool) -> None:
    """`if` where `while` is needed: another consumer was quicker."""
    condition = threading.Condition()
    items: list[int] = []
    closed: list[int] = []

    def consume() -> None:
        with condition:
            if fixed:
                while not items and not closed:
                    condition.wait()
            elif not items:
                condition.wait()
            if fixed and not items:
                return
            items.pop()
            closed.append(1)
            condition.notify_all()

    def produce() -> None:
        with condition:
            items.append(1)
            condition.notify_all()

    together(consume, consume, produce)


@catalogue.add(Kind.DEADLOCK)
def lost_wakeup(fixed: bool) -> None:
    """The event is cleared after the look, so a wake-up in between is wiped out."""
    wake = threading.Event()
    jobs: list[int] = []

    def work() -> None:
        while not jobs:
            if fixed:
                wake.wait()
                wake.clear()
            else:
                wake.clear()
                wake.wait()

    def submit() -> None:
        jobs.append(1)
        wake.set()

    together(work, submit)


@catalogue.add(Kind.DEADLOCK, traced=False, preemptions=1)
def notify_one_of_two_kinds(fixed: bool) -> None:
    """One condition for two kinds of waiters: `notify` reaches the wrong one."""
    condition = threading.Condition()
    state = {"a": False, "b": False}

    def wait_for(key: str) -> None:
        with condition:
            while not state[key]:
                condition.wait()
            state["b"] = True
            if fixed:
                condition.notify_all()
            else:
                condition.notify()

    def start() -> None:
        with condition:
            state["a"] = True
            if fixed:
                condition.notify_all()
            else:
                condition.notify()

    together(lambda: wait_for("a"), lambda: wait_for("b"), start)


@catalogue.add(Kind.EXCEPTION)
def double_release(fixed: bool) -> None:
    tokens = threading.BoundedSemaphore(1)
    held = [1]

    def release() -> None:
        if fixed:
            with contextlib.suppress(IndexError):
                held.pop()
                tokens.release()
        elif held:
            held.clear()
            tokens.release()

    tokens.acquire()
    together(release, release)


@catalogue.add(Kind.DEADLOCK, preemptions=1)
def lock_kept_on_error(fixed: bool) -> None:
    lock = threading.Lock()
    broken = [False]

    def work() -> None:
        lock.acquire()
        try:
            if broken[0]:
                raise ValueError
            if not fixed:
                lock.release()
        except ValueError:
            pass
        finally:
            if fixed:
                lock.release()

    def breaks() -> None:
        broken[0] = True

    together(work, work, breaks)


@catalogue.add(Kind.DEADLOCK)
def wait_under_a_lock_that_the_waker_needs(fixed: bool) -> None:
    lock, done = threading.Lock(), threading.Event()

    def wait() -> None:
        with lock:
            if fixed:
                pass
            else:
                done.wait()
        done.wait()

    def finish() -> None:
        with lock:
            done.set()

    together(wait, finish)


@catalogue.add(Kind.STEP_LIMIT, max_steps=2_000)
def livelock(fixed: bool) -> None:
    """Polling for a state that passes: who looks late looks for ever."""
    state = [0]

    def wait() -> None:
        while state[0] < 1 if fixed else state[0] != 1:
            time.sleep(0)

    def advance() -> None:
        state[0] = 1
        state[0] = 2

    together(wait, advance)


@catalogue.add(traced=False)
def upgrade_of_a_read_lock(fixed: bool) -> None:
    """The lock is let go between the look and the change, which then builds on what has changed."""
    lock = threading.Lock()
    value = [0]

    def increment() -> None:
        if fixed:
            with lock:
                value[0] += 1
            return
        with lock:
            seen = value[0]
        with lock:
            value[0] = seen + 1

    together(increment, increment)
    assert value == [2]

"""Classic bugs of forks beside threads."""

from __future__ import annotations

import os
import queue
import threading
from typing import Any

from explore.catalogue import Catalogue
from gllm_core.concurrency.testing.explore import Kind, become_child

catalogue = Catalogue(__name__)


@catalogue.add(Kind.DEADLOCK)
def lock_held_over_a_fork(fixed: bool) -> None:
    """Another thread had the lock at the moment of the fork, and is not there any more."""
    lock = [threading.Lock()]
    counter = [0]

    def renew() -> None:
        lock[0] = threading.Lock()

    def count() -> None:
        with lock[0]:
            counter[0] += 1

    if fixed:
        os.register_at_fork(after_in_child=renew)
    threading.Thread(target=count, daemon=True).start()
    become_child()
    count()


@catalogue.add(Kind.DEADLOCK, preemptions=1)
def worker_believed_in_after_a_fork(fixed: bool) -> None:
    """The child leaves its job to a thread that stayed with the parent."""
    workers: list[queue.SimpleQueue[Any]] = []

    def work(jobs: queue.SimpleQueue[Any]) -> None:
        while True:
            jobs.get()()

    def submit() -> threading.Event:
        if not workers:
            workers.append(queue.SimpleQueue())
            threading.Thread(target=work, args=workers, daemon=True).start()
        done = threading.Event()
        workers[0].put(done.set)
        return done

    if fixed:
        os.register_at_fork(after_in_child=workers.clear)
    submit().wait()
    become_child()
    submit().wait()


@catalogue.add(preemptions=2)
def half_done_at_the_fork(fixed: bool) -> None:
    """Another thread was in the middle of a change; a fork that waits for it finds all or nothing."""
    lock = threading.Lock()
    pair = [0, 0]

    def change() -> None:
        with lock:
            pair[0] = 1
            pair[1] = 1

    if fixed:
        os.register_at_fork(before=lock.acquire, after_in_child=lock.release)
    threading.Thread(target=change, daemon=True).start()
    become_child()
    assert pair[0] == pair[1]

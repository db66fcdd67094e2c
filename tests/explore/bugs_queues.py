"""Classic bugs of queues, pools, futures and timeouts."""

from __future__ import annotations

import contextlib
import queue
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from explore.catalogue import Catalogue, together
from gllm_core.concurrency.testing.explore import Kind

catalogue = Catalogue(__name__)


@catalogue.add(Kind.DEADLOCK, preemptions=1)
def stop_versus_submit(fixed: bool) -> None:
    """A job that is accepted after the worker's last look is never answered."""
    lock: Any = threading.Lock() if fixed else contextlib.nullcontext()
    jobs: queue.Queue[Any] = queue.Queue()
    stopped: list[int] = []

    def submit() -> None:
        answer = threading.Event()
        with lock:
            if stopped:
                return
            jobs.put(answer)
        answer.wait()

    def serve() -> None:
        with lock:
            stopped.append(1)
            waiting = [jobs.get() for _ in range(jobs.qsize())]
        for answer in waiting:
            answer.set()

    together(submit, serve)


@catalogue.add()
def dropped_queue(fixed: bool) -> None:
    """The consumer replaces the list that a producer has in its hand."""
    lock: Any = threading.Lock() if fixed else contextlib.nullcontext()
    box: dict[str, list[int]] = {"inbox": []}
    seen: list[int] = []

    def produce() -> None:
        with lock:
            inbox = box["inbox"]
            inbox.append(1)

    def consume() -> None:
        with lock:
            inbox = box["inbox"]
            seen.extend(inbox)
            box["inbox"] = []

    together(produce, consume)
    assert seen + box["inbox"] == [1]


@catalogue.add(Kind.DEADLOCK, traced=False, preemptions=1)
def one_sentinel_for_two_workers(fixed: bool) -> None:
    jobs: queue.SimpleQueue[int | None] = queue.SimpleQueue()

    def work() -> None:
        while jobs.get() is not None:
            pass

    def stop() -> None:
        for _ in range(2 if fixed else 1):
            jobs.put(None)

    together(work, work, stop)


@catalogue.add(Kind.DEADLOCK, traced=False, preemptions=1)
def full_queue_between_two(fixed: bool) -> None:
    """Both ends put before they get."""
    ping: queue.Queue[int] = queue.Queue(1)
    pong: queue.Queue[int] = queue.Queue(0 if fixed else 1)

    def left() -> None:
        ping.put(1)
        ping.put(2)
        pong.get()
        pong.get()

    def right() -> None:
        pong.put(1)
        pong.put(2)
        ping.get()
        ping.get()

    together(left, right)


@catalogue.add(Kind.EXCEPTION, traced=False)
def empty_is_not_a_promise(fixed: bool) -> None:
    jobs: queue.Queue[int] = queue.Queue()
    jobs.put(1)

    def take() -> None:
        if fixed:
            with contextlib.suppress(queue.Empty):
                jobs.get_nowait()
        elif not jobs.empty():
            jobs.get_nowait()

    together(take, take)


@catalogue.add(Kind.DEADLOCK, traced=False, preemptions=1)
def pool_waits_for_itself(fixed: bool) -> None:
    """A job of a pool waits for another one, and all threads are taken."""
    with ThreadPoolExecutor(2 if fixed else 1) as pool:

        def outer() -> int:
            return pool.submit(int).result()

        assert pool.submit(outer).result() == 0


@catalogue.add(Kind.EXCEPTION, preemptions=1)
def two_outcomes_of_one_future(fixed: bool) -> None:
    future: Future[int] = Future()
    lock = threading.Lock()

    def answer() -> None:
        if fixed:
            with lock:
                if not future.done():
                    future.set_result(1)
        elif not future.done():
            future.set_result(1)

    together(answer, answer)


@catalogue.add(faults=["timeout"], preemptions=1)
def timeout_taken_for_an_answer(fixed: bool) -> None:
    """A timed wait that ends first is not looked at."""
    answered = threading.Event()
    answer: list[int] = []

    def ask() -> None:
        in_time = answered.wait(1.0)
        if in_time or not fixed:
            assert answer

    def respond() -> None:
        answer.append(1)
        answered.set()

    together(ask, respond)


@catalogue.add(Kind.DEADLOCK, traced=False, faults=["start"])
def thread_start_that_fails(fixed: bool) -> None:
    """Who counts a worker in before it runs must count it out where it cannot be started."""
    ready = threading.Event()

    def start() -> None:
        try:
            threading.Thread(target=ready.set).start()
        except RuntimeError:
            if fixed:
                ready.set()

    with contextlib.suppress(RuntimeError):
        starter = threading.Thread(target=start)
        starter.start()
        ready.wait()
        starter.join()


@catalogue.add(Kind.LEAK, traced=False)
def thread_left_behind(fixed: bool) -> None:
    stop = threading.Event()
    threading.Thread(target=stop.wait).start()
    if fixed:
        stop.set()

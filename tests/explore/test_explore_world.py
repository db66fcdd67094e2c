"""What runs under control is the standard library's own code; what is not under control is left alone."""

from __future__ import annotations

import _thread
import asyncio
import atexit
import contextvars
import gc
import os
import queue
import selectors
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest

from explore.catalogue import together
from gllm_core.concurrency.testing.explore import Kind, Verdict, explore, search


def _names() -> list[Any]:
    names = [
        *((_thread, name) for name in ("allocate_lock", "RLock", "start_new_thread")),
        *((threading, name) for name in ("Lock", "_allocate_lock", "_CRLock", "excepthook", "_time", "_counter")),
        *((time, name) for name in ("monotonic", "time", "sleep", "perf_counter", "monotonic_ns")),
        (queue, "SimpleQueue"), (selectors, "DefaultSelector"), (sys, "_current_frames"), (atexit, "register"),
        (os, "register_at_fork"), (asyncio.BaseEventLoop, "call_soon_threadsafe"), (asyncio.SelectorEventLoop, "close"),
    ]  # fmt: skip
    return [getattr(owner, name) for owner, name in names] + ["__hash__" in vars(threading.Thread), gc.isenabled()]


def test_everything_is_put_back() -> None:
    """After an exploration, found something or not, all is as it was, and no thread is left."""
    before, threads = _names(), set(threading.enumerate())

    def fail() -> None:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        raise KeyError

    assert search(lambda: together(int)).exhausted
    assert search(fail).verdict is Verdict.FAILED
    assert _names() == before
    assert set(threading.enumerate()) <= threads  # worker threads of earlier tests leave when they have idled long enough


def test_other_threads_are_not_controlled() -> None:
    """A thread from outside has real locks, real time and real queues while an exploration runs."""
    asked, told = threading.Event(), threading.Event()
    seen: list[Any] = []

    def outside() -> None:
        asked.wait(10)
        seen.extend([type(threading.Lock()), type(threading.RLock()), time.monotonic()])
        time.sleep(0.001)
        with ThreadPoolExecutor(1) as pool:
            seen.append(pool.submit(int).result())
        seen.append(asyncio.run(asyncio.sleep(0, 7)))
        told.set()

    thread = threading.Thread(target=outside)
    thread.start()
    real = [type(threading.Lock()), type(threading.RLock())]

    def scenario() -> None:
        asked.set()
        told.wait(10)

    before = time.monotonic()
    assert search(scenario, schedules=1, stall_s=30).finding is None
    thread.join()
    assert seen[:2] == real
    assert before <= seen[2] <= time.monotonic()
    assert seen[3:] == [0, 7]


def test_standard_library_under_control() -> None:
    """RLock, Condition, Semaphore, Barrier, Event, queues, futures, executors and timers work."""

    def scenario() -> None:
        lock, condition = threading.RLock(), threading.Condition()
        jobs: queue.Queue[int] = queue.Queue(1)
        answers: queue.SimpleQueue[int] = queue.SimpleQueue()
        fired: Future[str] = Future()

        def work() -> None:
            with lock, lock:
                answers.put(jobs.get(timeout=5) + 1)
            jobs.task_done()
            with condition:
                condition.notify_all()

        threading.Timer(3600, fired.set_result, ["late"]).start()
        thread = threading.Thread(target=work)
        thread.start()
        jobs.put(1)
        jobs.join()
        assert answers.get() == 2
        thread.join()
        assert not thread.is_alive()
        assert fired.result() == "late"

    assert search(scenario, preemptions=0).exhausted


def test_time_is_virtual() -> None:
    """An hour passes at once, timeouts end in their order, and a wait that is answered does not time out."""

    def scenario() -> None:
        order: list[str] = []

        def sleep(name: str, seconds: float) -> None:
            time.sleep(seconds)
            order.append(name)

        begin = time.monotonic()
        together(lambda: sleep("hour", 3600), lambda: sleep("minute", 60), lambda: sleep("second", 1))
        assert order == ["second", "minute", "hour"]
        assert time.monotonic() - begin == 3600
        assert threading.Event().wait(5) is False
        assert threading.Lock().acquire(False) is not None

    begin = time.perf_counter()
    assert search(scenario, preemptions=0).exhausted
    assert time.perf_counter() - begin < 60


def test_asyncio_under_control() -> None:
    """Timers, threads, executors and subordinate loops work; the loop is the real one."""

    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        assert type(loop) is asyncio.SelectorEventLoop
        in_thread = asyncio.to_thread(lambda: asyncio.run(asyncio.sleep(10, "inner")))
        results = await asyncio.gather(asyncio.sleep(20, "slow"), in_thread, loop.run_in_executor(None, int))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 5)
        return list(results)

    def scenario() -> None:
        assert asyncio.run(main()) == ["slow", "inner", 0]

    assert search(scenario, preemptions=0).exhausted


def test_anyio_under_control() -> None:
    """AnyIO's own threads and portals work, and context variables with them."""
    number: contextvars.ContextVar[int] = contextvars.ContextVar("number")

    async def double() -> int:
        return await anyio.to_thread.run_sync(lambda: 2 * number.get())

    def scenario() -> None:
        number.set(21)
        with anyio.from_thread.start_blocking_portal() as portal:
            assert portal.call(double) == 42

    assert search(scenario, preemptions=0).exhausted


def test_identities_of_threads() -> None:
    """No identifier is used twice in a run, names start anew, and a thread that is over is out of sight."""

    def scenario() -> None:
        assert threading.current_thread().name == "scenario"
        idents: list[Any] = []
        for number in (1, 2, 3):
            thread = threading.Thread(target=int)
            assert thread.name.startswith(f"Thread-{number} ")
            thread.start()
            thread.join()
            idents.append(thread.ident)
            assert thread.ident not in sys._current_frames()
            assert thread not in threading.enumerate()
        assert len(set(idents)) == 3
        assert threading.get_ident() in sys._current_frames()

    assert search(scenario, preemptions=0).exhausted


def test_fresh_modules(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that is named is loaded anew in each schedule; its lock is then controlled, and the original untouched."""
    (tmp_path / "counted.py").write_text(
        "import atexit, os, threading\nlock = threading.Lock()\nvalues = []\nregistered = atexit.register(int)\n"
        "def add():\n    with lock:\n        values.append(1)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    counted = __import__("counted")
    counted.values.append("mine")

    def scenario() -> None:
        copy = __import__("counted")
        together(copy.add, copy.add)
        assert copy.values == [1, 1]
        assert copy.registered is int

    assert explore(scenario, modules=["counted"], preemptions=1).exhausted
    assert explore(scenario, fresh="counted", preemptions=1).exhausted
    assert sys.modules["counted"] is counted
    assert counted.values == ["mine"]
    finding = search(scenario, modules=["counted"], fresh=(), preemptions=1).finding
    assert finding is not None
    assert finding.kind is Kind.ASSERTION


def test_files_are_not_controlled() -> None:
    """A controlled loop that is to watch a real descriptor says that it cannot."""

    async def main() -> None:
        reader, writer = os.pipe()
        try:
            asyncio.get_running_loop().add_reader(reader, int)
        finally:
            os.close(reader)
            os.close(writer)

    finding = search(lambda: asyncio.run(main())).finding
    assert finding is not None
    assert "does not control files and sockets" in finding.message


def test_hooks_of_one_schedule_do_not_reach_the_next() -> None:
    """A scenario that sets `threading.excepthook` does not hide what later schedules raise."""

    def scenario() -> None:
        assert threading.excepthook is not silent
        threading.excepthook = silent

    def silent(args: Any) -> None:
        pass

    assert search(lambda: together(scenario, int), preemptions=1).exhausted


def test_interrupt_ends_an_exploration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends it and leaves nothing behind."""
    import signal

    before, threads = _names(), set(threading.enumerate())

    def scenario() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        while True:
            time.sleep(0)

    with pytest.raises(KeyboardInterrupt):
        search(scenario, max_steps=1_000_000_000)
    assert _names() == before
    assert set(threading.enumerate()) <= threads  # worker threads of earlier tests leave when they have idled long enough


def test_tasks_are_cancelled_in_the_order_of_their_creation() -> None:
    """A loop that ends cancels its tasks in the same order on each schedule, wherever they lie in memory."""
    orders: set[tuple[int, ...]] = set()

    async def stay(number: int, order: list[int]) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            order.append(number)

    async def main(order: list[int]) -> None:
        tasks = [asyncio.ensure_future(stay(number, order)) for number in range(20)]
        await asyncio.sleep(0)
        assert asyncio.all_tasks() > set(tasks)

    def scenario() -> None:
        order: list[int] = []
        asyncio.run(main(order))
        orders.add(tuple(order))

    assert search(scenario, strategy="random", schedules=20).finding is None
    assert orders == {tuple(range(20))}

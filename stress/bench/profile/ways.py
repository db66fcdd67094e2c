"""The ways that the steps use: from any thread into a loop, and from a loop to a worker thread. The least that works."""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from typing import Any, Protocol

IDLE_S = 10.0
Send = Callable[[Callable[[Any], object], Any], object]
"""Has a loop call a function with one argument. From any thread."""


def way_into(stack: ExitStack, loop: asyncio.AbstractEventLoop) -> Send:
    """A queue, and a counter that the loop watches, where the system has such; else what asyncio offers. *stack* closes it."""
    if not hasattr(os, "eventfd"):
        return lambda act, of: loop.call_soon_threadsafe(act, of)
    number = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    stack.callback(os.close, number)
    waiting: deque[tuple[Callable[[Any], object], Any]] = deque()
    may_ring: list[None] = [None]

    def send(act: Callable[[Any], object], of: Any) -> None:
        waiting.append((act, of))
        try:
            may_ring.pop()
        except IndexError:  # the loop was rung for, and has not looked yet
            return
        os.eventfd_write(number, 1)

    def arrive() -> None:
        os.eventfd_read(number)
        may_ring[:] = [None]
        for _ in range(len(waiting)):
            act, of = waiting.popleft()
            act(of)

    on_its_thread(loop, lambda: loop.add_reader(number, arrive))
    stack.callback(on_its_thread, loop, lambda: loop.remove_reader(number))
    return send


def on_its_thread(loop: asyncio.AbstractEventLoop, act: Callable[[], object]) -> None:
    """Call *act* where *loop* runs; here, where it does not run right now."""
    if not loop.is_running():
        act()
        return
    done: Future[object] = Future()
    loop.call_soon_threadsafe(lambda: done.set_result(act()))
    done.result()


class Thread(Protocol):
    def __call__(self, stack: ExitStack, work: Callable[[Any], object], /) -> Callable[[Any], object]: ...


def worker(stack: ExitStack, work: Callable[[Any], object]) -> Callable[[Any], object]:
    """A thread that does *work* with whatever it is given, until *stack* is closed."""
    inbox: queue.SimpleQueue[object] = queue.SimpleQueue()

    def run() -> None:
        while (item := inbox.get()) is not None:
            work(item)

    _start(stack, run, inbox.put)
    return inbox.put


def cached_worker(stack: ExitStack, work: Callable[[Any], object]) -> Callable[[Any], object]:
    """The same as one of many: with jobs in a queue of all, and a bell of its own that is in a list while it is idle."""
    jobs: deque[object] = deque()
    idle: list[threading.Lock] = []

    def run() -> None:
        doorbell = threading.Lock()
        doorbell.acquire()
        while True:
            while jobs:
                item = jobs.popleft()
                if item is None:
                    return
                work(item)
            idle.append(doorbell)
            if jobs or not doorbell.acquire(timeout=IDLE_S):  # the job came before it was idle: nobody has rung
                try:
                    idle.remove(doorbell)
                except ValueError:  # somebody rings now
                    doorbell.acquire()

    def put(item: object) -> None:
        jobs.append(item)
        try:  # noqa: SIM105 # as the library has it: suppress takes twice as long
            idle.pop().release()
        except IndexError:  # it is awake, and will look
            pass

    _start(stack, run, put)
    return put


def _start(stack: ExitStack, run: Callable[[], None], put: Callable[[Any], object]) -> None:
    thread = threading.Thread(target=run, name="bench-worker", daemon=True)
    thread.start()
    stack.callback(thread.join)
    stack.callback(put, None)


def settle(future: asyncio.Future[None]) -> None:
    future.set_result(None)

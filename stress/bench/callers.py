"""From blocking code to a coroutine: ours, the peers and the floors, each as a plain function to be called."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import inf
from typing import Any, Literal

from anyio import CapacityLimiter, to_thread
from anyio.from_thread import BlockingPortal, start_blocking_portal

from gllm_core.concurrency import get_default_portal, syncify

from . import peers
from .clocks import Sync
from .loops import LoopFactory, loop_in_thread
from .model import Role

Backend = Literal["asyncio", "uvloop", "trio"]
CoroutineFunction = Callable[[], Coroutine[Any, Any, object]]
Work = Callable[[], float]


def _on_this_thread(work: Work) -> float:
    return work()


@dataclass(frozen=True, slots=True)
class Caller:
    name: str
    role: Role
    call: Sync
    on_its_thread: Callable[[Work], float] = _on_this_thread
    """Runs the calls on a thread from which they work; asyncer demands a worker thread of a loop that runs."""


def callers(stack: ExitStack, func: CoroutineFunction, backend: Backend = "asyncio") -> list[Caller]:
    """All ways there are to call *func* on a loop of kind *backend*; what they open is closed by *stack*. Ours is first."""
    portal = stack.enter_context(_portal(backend))
    found = [
        Caller("syncify", "ours", syncify(func) if backend == "asyncio" else syncify(func, portal=portal)),
        Caller("BlockingPortal.call", "peer", lambda: portal.call(func)),
    ]
    if backend == "trio":
        return found
    loop = stack.enter_context(loop_in_thread(_factory(backend)))
    found.append(Caller("run_coroutine_threadsafe", "peer", lambda: asyncio.run_coroutine_threadsafe(func(), loop).result()))
    if backend == "asyncio":
        found += _packages(func, loop, portal)
    found.append(Caller("floor: call_soon_threadsafe + lock", "floor", wake_up(loop)))
    if hasattr(os, "eventfd"):
        found.append(Caller("floor: eventfd + lock", "floor", wake_up_by_eventfd(stack, loop)))
    return found


@contextmanager
def _portal(backend: Backend) -> Iterator[BlockingPortal]:
    if backend == "asyncio":
        yield get_default_portal()
    elif backend == "uvloop":
        with start_blocking_portal("asyncio", {"use_uvloop": True}) as portal:
            yield portal
    else:
        with start_blocking_portal("trio") as portal:
            yield portal


def _factory(backend: Backend) -> LoopFactory:
    factory: LoopFactory = peers.module("uvloop").new_event_loop if backend == "uvloop" else asyncio.new_event_loop
    return factory


def _packages(func: CoroutineFunction, loop: asyncio.AbstractEventLoop, portal: BlockingPortal) -> Iterator[Caller]:
    if fsspec := peers.module("fsspec.asyn"):
        yield Caller("fsspec sync", "peer", lambda: fsspec.sync(loop, func))
    if asgiref := peers.module("asgiref.sync"):
        yield Caller("asgiref async_to_sync", "peer", asgiref.async_to_sync(func))
    if asyncer := peers.module("asyncer"):
        unlimited = CapacityLimiter(inf)

        def in_worker(work: Work) -> float:
            async def run() -> float:
                return await to_thread.run_sync(work, limiter=unlimited)

            return portal.call(run)

        yield Caller("asyncer.syncify", "peer", asyncer.syncify(func), in_worker)
    if synchronicity := peers.module("synchronicity"):
        yield Caller("synchronicity", "peer", synchronicity.Synchronizer().create_blocking(func))


def wake_up(loop: asyncio.AbstractEventLoop) -> Sync:
    """The least that a call into a loop needs: wake it, and be woken. No coroutine, no context, no value, no safety."""
    of_thread = threading.local()

    def call() -> None:
        try:
            doorbell: threading.Lock = of_thread.doorbell
        except AttributeError:
            doorbell = of_thread.doorbell = threading.Lock()
            doorbell.acquire()
        loop.call_soon_threadsafe(doorbell.release)
        doorbell.acquire()

    return call


def wake_up_by_eventfd(stack: ExitStack, loop: asyncio.AbstractEventLoop) -> Sync:
    """The same, where the system lets a loop watch a counter. For one calling thread at a time."""
    number = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    doorbell = threading.Lock()
    doorbell.acquire()

    def answer() -> None:
        os.eventfd_read(number)
        doorbell.release()

    async def watch() -> None:
        loop.add_reader(number, answer)

    async def leave() -> None:
        loop.remove_reader(number)
        os.close(number)

    def call() -> None:
        os.eventfd_write(number, 1)
        doorbell.acquire()

    asyncio.run_coroutine_threadsafe(watch(), loop).result()
    stack.callback(lambda: asyncio.run_coroutine_threadsafe(leave(), loop).result())
    return call


@contextmanager
def ping_pong() -> Iterator[Caller]:
    """Two threads that hand a lock to and fro: what the operating system and the interpreter take for themselves."""
    ping, pong = threading.Lock(), threading.Lock()
    ping.acquire()
    pong.acquire()
    over = False

    def answer() -> None:
        while True:
            ping.acquire()
            if over:
                return
            pong.release()

    def call() -> None:
        ping.release()
        pong.acquire()

    thread = threading.Thread(target=answer, name="bench-ping-pong", daemon=True)
    thread.start()
    with contextlib.ExitStack() as stack:
        stack.callback(thread.join)
        stack.callback(ping.release)
        yield Caller("floor: a lock to and fro", "floor", call)
        over = True

"""The cache of worker threads: names, reuse, idling, and the exit of the interpreter."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from gllm_core.concurrency import _workers, asyncify
from handshakes import WAIT_S, Gate
from marks import asyncio_only
from subprocess_tools import run_program


@pytest.mark.anyio
@asyncio_only
async def test_workers_are_daemonic_and_named_each_by_itself() -> None:
    """Worker threads are daemonic, and no two have the same name. proves: A12"""
    gates = [Gate() for _ in range(5)]
    async with anyio.create_task_group() as group:
        for gate in gates:
            group.start_soon(asyncify(gate))
            await gate.running()
        threads = [gate.thread for gate in gates]
        for gate in gates:
            gate.leave.set()
    assert all(thread.daemon and thread.name.startswith("gllm-worker-") for thread in threads)
    assert len({thread.name for thread in threads}) == 5


@pytest.mark.anyio
@asyncio_only
async def test_workers_are_reused_last_in_first_out() -> None:
    """The next call runs on the thread that ended its work last, not on a new one. proves: A12"""
    gates = [Gate() for _ in range(3)]
    for last in (0, 1, 2):
        tasks = [asyncio.ensure_future(asyncify(gate)()) for gate in gates]
        for gate in gates:
            await gate.running()
        order = [index for index in range(3) if index != last] + [last]
        threads = []
        for index in order:
            gates[index].leave.set()
            await tasks[index]
            threads.append(gates[index].thread)
        assert await asyncify(threading.current_thread)() is threads[-1]
        assert await asyncify(threading.current_thread)() is threads[-1]
        for gate in gates:
            gate.leave.clear()


@pytest.mark.anyio
@asyncio_only
async def test_an_idle_worker_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that got nothing to do for IDLE_TIMEOUT_S ends, and the next call starts another. proves: A12"""
    monkeypatch.setattr(_workers, "IDLE_TIMEOUT_S", 0.01)
    monkeypatch.setattr(_workers, "_idle", [])
    seen: list[threading.Thread] = []
    for _ in range(2):
        thread = await asyncify(threading.current_thread)()
        thread.join(WAIT_S)  # blocks the loop, so that nobody can give it anything to do
        assert not thread.is_alive()
        seen.append(thread)
    assert seen[0] is not seen[1]
    assert _workers._idle == []


def hammer(rounds: int) -> Callable[[], Any]:
    async def main() -> None:
        for number in range(rounds):
            assert await asyncify(int)(number) == number

    return main


def test_a_worker_that_leaves_as_it_is_called_loses_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """With an idle time-out of nothing, workers leave while they are being taken, and each call still runs. proves: A12, A2"""
    monkeypatch.setattr(_workers, "_idle", [])
    monkeypatch.setattr(_workers, "IDLE_TIMEOUT_S", 0.0)
    before = set(threading.enumerate())
    threads = [threading.Thread(target=anyio.run, args=(hammer(200),), daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
        assert not thread.is_alive()
    for thread in set(threading.enumerate()) - before:
        thread.join(WAIT_S)
    assert _workers._idle == []


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_abandoned_function_does_not_delay_the_exit(backend: str) -> None:
    """A program ends though a function that it abandoned never will; nothing is printed. proves: A12"""
    program = f"""
import threading, anyio
from gllm_core.concurrency import asyncify
async def main():
    entered = threading.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(asyncify(lambda: (entered.set(), threading.Event().wait()), cancellable=True))
        while not entered.is_set():
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
anyio.run(main, backend={backend!r})
"""
    run_program(program, limit_s=2 * WAIT_S).expect()

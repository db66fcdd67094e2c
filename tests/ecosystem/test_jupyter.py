"""A Jupyter kernel: ipykernel in its own process, driven by jupyter_client."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import psutil
import pytest

from ecosystem.kernels import Kernel, running_kernel

SETUP = """
import asyncio, threading, warnings
import anyio
from gllm_core.concurrency import asyncify, get_default_portal, in_flight, syncify

async def upper(word):
    return await asyncify(str.upper)(word)
"""

ENDLESS = """
async def endless():
    try:
        print("begun", flush=True)
        await anyio.sleep_forever()
    finally:
        await anyio.sleep(0)
        print("finally", flush=True)

syncify(endless)()
"""

PATIENT = """
def held():
    print("begun", flush=True)
    try:
        while not threading.Event().wait(0.01):
            anyio.from_thread.check_cancelled()
    finally:
        print("left", flush=True)

async def turn_the_loop():
    while True:
        await anyio.sleep(0.01)

ticker = asyncio.create_task(turn_the_loop())
try:
    await asyncify(held)()
finally:
    ticker.cancel()
"""


class Interrupt:
    """Interrupts the kernel, once, when a cell says that it has begun."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel, self._done = kernel, False

    def __call__(self, out: str) -> None:
        if "begun" in out and not self._done:
            self._done = True
            self._kernel.manager.interrupt_kernel()


@pytest.fixture
def kernel(tmp_path: Path) -> Generator[Kernel, None, None]:
    with running_kernel(tmp_path / "stderr") as kernel:
        yield kernel


def test_a_syncified_call_in_a_cell(kernel: Kernel) -> None:
    """The loop of a kernel runs while a cell does: the call works, and a BlockedLoopWarning says so once. proves: S9, P5."""
    said = kernel.run(f"{SETUP}\nfor _ in range(3): print(syncify(upper)('word'))")
    assert (said.status, said.out) == ("ok", "WORD\n" * 3), said
    assert said.err.count("Warning") == said.err.count("BlockedLoopWarning: 'upper' blocks the event loop") == 1, said


def test_the_warning_is_silenced_by_one_line(kernel: Kernel) -> None:
    """What the notebook's author knows, the filter knows. proves: S9."""
    silence = "from gllm_core.concurrency import BlockedLoopWarning; warnings.simplefilter('ignore', BlockedLoopWarning)"
    said = kernel.run(f"{SETUP}\n{silence}\nprint(syncify(upper)('word'))")
    assert (said.status, said.out, said.err) == ("ok", "WORD\n", ""), said


def test_await_at_the_top_level_of_a_cell(kernel: Kernel) -> None:
    """An asyncified function is awaited as it stands, on a worker thread, without a warning. proves: A2."""
    said = kernel.run(f"{SETUP}\nawait asyncify(lambda: threading.current_thread().name.rstrip('0123456789'))()")
    assert (said.status, said.value, said.err) == ("ok", "'gllm-worker-'", ""), said


def test_an_interrupt_reaches_the_coroutine(kernel: Kernel) -> None:
    """Interrupting a cell that waits in a syncified call runs the coroutine's `finally` block, then raises; the kernel and the
    portal live on, nothing is in flight. proves: S6.
    """
    silence = "warnings.simplefilter('ignore')"
    before = kernel.run(f"{SETUP}\nportal = get_default_portal()")
    said = kernel.run(f"{SETUP}\n{silence}\n{ENDLESS}", Interrupt(kernel))
    assert (before.status, said.status, said.error, said.out) == ("ok", "error", "KeyboardInterrupt", "begun\nfinally\n"), said
    after = kernel.run("print(syncify(upper)('word'), in_flight(), get_default_portal() is portal)")
    assert (after.status, after.out) == ("ok", "WORD () True\n"), after


def test_an_interrupt_of_an_awaited_function(kernel: Kernel) -> None:
    """Interrupting a cell that awaits an asyncified function cancels the await, which the function sees. proves: A7.

    The kernel looks for interrupts when its loop turns, whatever the cell awaits, hence the ticker.
    """
    said = kernel.run(f"{SETUP}\n{PATIENT}", Interrupt(kernel))
    assert (said.error, said.out) == ("CancelledError", "begun\nleft\n"), said
    after = kernel.run("print(in_flight())")
    assert after.out == "()\n", after


def test_a_restart_leaves_nothing(kernel: Kernel) -> None:
    """The old kernel's process is gone with all its children; the new one starts without a thread of ours. proves: P1, P3."""
    kernel.run(f"{SETUP}\nwarnings.simplefilter('ignore'); syncify(upper)('word')")
    old = psutil.Process(kernel.pid)
    family = [old, *old.children(recursive=True)]
    kernel.manager.restart_kernel()
    kernel.connect()
    _, alive = psutil.wait_procs(family, timeout=30)
    assert (alive, kernel.pid != old.pid) == ([], True)
    names = "sorted(thread.name for thread in threading.enumerate() if thread.name.startswith('gllm'))"
    fresh = kernel.run(f"{SETUP}\nprint({names})")
    assert (fresh.status, fresh.out, fresh.err) == ("ok", "[]\n", ""), fresh
    again = kernel.run("print(syncify(upper)('word'))")
    assert (again.status, again.out) == ("ok", "WORD\n"), again

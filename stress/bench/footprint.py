"""Workloads that are not calls per second: the time of the import, the memory of a call in flight."""

from __future__ import annotations

import asyncio
import functools
import os
import subprocess
import sys
import tempfile
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from . import clocks
from .awaiters import Awaiter, awaiters
from .model import Candidate, Role, Workload

IMPORT_OURS = """
import anyio, anyio.from_thread, anyio.to_thread, time
started = time.CLOCK()
import gllm_core.concurrency
print(time.CLOCK() - started)
"""
IMPORT_ANYIO = """
import time
started = time.CLOCK()
import anyio, anyio.from_thread, anyio.to_thread
print(time.CLOCK() - started)
"""


IMPORT_ASYNCIO = """
import anyio, anyio.from_thread, anyio.to_thread, time
started = time.CLOCK()
import asyncio
print(time.CLOCK() - started)
"""


def import_s(program: str, environment: dict[str, str], n: int) -> float:
    """What *n* fresh interpreters say that *program*'s import took, together."""
    run = functools.partial(subprocess.run, capture_output=True, check=True, env=environment)
    program = program.replace("CLOCK", clocks.name())
    return sum(float(run([sys.executable, "-c", program]).stdout) for _ in range(n))


@contextmanager
def compiled_modules() -> Iterator[dict[str, str]]:
    """An environment with compiled modules, as an installed package has them, whatever this one says of writing such files."""
    with tempfile.TemporaryDirectory() as compiled:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        yield environment | {"PYTHONPYCACHEPREFIX": compiled}


@contextmanager
def imports() -> Iterator[list[Candidate]]:
    programs: dict[str, tuple[Role, str]] = {
        "import ours, anyio being there": ("ours", IMPORT_OURS),
        "import anyio": ("floor", IMPORT_ANYIO),
        "import asyncio, anyio being there": ("floor", IMPORT_ASYNCIO),
    }
    with compiled_modules() as environment:
        yield [
            Candidate(name, role, functools.partial(import_s, program, environment))
            for name, (role, program) in programs.items()
        ]


class Gate(Protocol):
    """Keeps calls in flight while it is clear."""

    def set(self) -> None: ...
    def clear(self) -> None: ...


async def bytes_in_flight(awaiter: Awaiter, gate: Gate, n: int) -> float:
    """Memory of Python objects (not of thread stacks) while *n* calls are in flight, their tasks included."""
    gate.set()
    await asyncio.gather(*(awaiter.call() for _ in range(200)))  # the threads are there
    gate.clear()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tasks = [asyncio.ensure_future(awaiter.call()) for _ in range(n)]
        for _ in range(10):  # turns of the loop, until every call waits for the gate or for its turn
            await asyncio.sleep(0)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gate.set()
    await asyncio.gather(*tasks)
    return float(after - before)


@contextmanager
def memory() -> Iterator[list[Candidate]]:
    gate = threading.Event()
    with asyncio.Runner() as runner:

        def measure(awaiter: Awaiter, n: int) -> float:
            return runner.run(bytes_in_flight(awaiter, gate, n))

        yield [
            Candidate(awaiter.name, awaiter.role, functools.partial(measure, awaiter))
            for awaiter in awaiters(runner.get_loop(), gate.wait)
        ]


WORKLOADS = [
    Workload("import", "time of the import beyond `import anyio`, in a fresh interpreter", imports, grow=False),
    Workload(
        "asyncify-bytes",
        "memory of a call in flight, of 5,000",
        memory,
        grain=5_000,
        grow=False,
        unit="bytes",
        settings=("free",),
    ),
]

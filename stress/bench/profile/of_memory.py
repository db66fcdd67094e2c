"""Memory of a call in flight: from a bare task to the whole call."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from anyio import CapacityLimiter

from gllm_core.concurrency import asyncify

from ..awaiters import Awaiter
from ..clocks import Async
from ..footprint import Gate, bytes_in_flight
from ..model import Candidate, Role, Workload
from . import threads
from .ladder import Goal, Ladder, times

POOL = "loop.run_in_executor"
TOKENS = 40
ATTRIBUTES = 27
"""Of a call of ours."""


class _LoopGate:
    """While it is clear, tasks wait for it in a future of their own."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._is_set = True
        self._waiting: list[asyncio.Future[None]] = []

    def set(self) -> None:
        self._is_set = True
        while self._waiting:
            self._waiting.pop().set_result(None)

    def clear(self) -> None:
        self._is_set = False

    async def pass_through(self) -> None:
        if not self._is_set:
            future = self._loop.create_future()
            self._waiting.append(future)
            await future


async def _limiter() -> CapacityLimiter:
    return CapacityLimiter(TOKENS)


def _with_token(gate: _LoopGate, limiter: CapacityLimiter) -> Async:
    async def call() -> None:
        borrower = object()
        if not threads.take_free(limiter, borrower):
            await limiter.acquire_on_behalf_of(borrower)
        try:
            await gate.pass_through()
        finally:
            limiter.release_on_behalf_of(borrower)

    return call


class _Record(threads.Job):
    """As many attributes as a call has."""

    __slots__ = tuple(f"further_{number}" for number in range(ATTRIBUTES - len(threads.Job.__slots__)))


def _with_record(gate: _LoopGate, limiter: CapacityLimiter) -> Async:
    in_flight: dict[_Record, None] = {}

    async def call(*args: Any, **kwargs: Any) -> None:
        record = _Record(gate.pass_through, args, kwargs)
        in_flight[record] = None
        try:
            if not threads.take_free(limiter, record):
                await limiter.acquire_on_behalf_of(record)
            try:
                await gate.pass_through()
            finally:
                limiter.release_on_behalf_of(record)
        finally:
            in_flight.pop(record, None)

    return call


@contextmanager
def steps() -> Iterator[list[Candidate]]:
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        loop = runner.get_loop()
        limiter = runner.run(_limiter())
        of_threads, of_loop = threading.Event(), _LoopGate(loop)

        def candidate(name: str, role: Role, call: Async, gate: Gate) -> Candidate:
            def measure(n: int) -> float:
                return runner.run(bytes_in_flight(Awaiter(name, role, call), gate, n))

            return Candidate(name, role, measure)

        yield [
            candidate("the whole call", "ours", asyncify(of_threads.wait), of_threads),
            candidate("a task that waits for a future", "floor", of_loop.pass_through, of_loop),
            candidate("+ a token of AnyIO's, waited for", "floor", _with_token(of_loop, limiter), of_loop),
            candidate("+ a record of the call", "floor", _with_record(of_loop, limiter), of_loop),
            candidate(POOL, "peer", functools.partial(loop.run_in_executor, None, of_threads.wait), of_threads),
        ]


LIMIT = """
The pool makes no task, and has no tokens to wait for. A task that waits for one of AnyIO's takes nearly as much as a whole call
does there; what is ours is the record.
"""

LADDERS = [
    Ladder(
        Workload(
            "asyncify-bytes",
            "memory of a call in flight, of 5,000",
            steps,
            grain=5_000,
            grow=False,
            unit="bytes",
            settings=("pinned",),
        ),
        Goal("free: asyncify-bytes / nearest peer", POOL, times(1, POOL)),
        LIMIT,
    )
]

"""What it costs a call that it can be seen while it is in flight: the registry's own operations, beside the whole call."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from gllm_core.concurrency import asyncify, syncify

from .async_workloads import nothing
from .clocks import awaited_one_after_another, now, one_after_another
from .model import Candidate, Workload
from .sync_workloads import at_once


class _Entry:
    __slots__ = ("began_at", "thread_id")
    began_at: float
    thread_id: int


def _enter_and_leave(n: int) -> float:
    """All that a call does to be seen: when it began, where it runs, into the registry and out of it.

    What `in_flight` and `dump` read beside that (the function's name, the limiter, the token) the call needs itself.
    """
    registry: dict[_Entry, None] = {}
    entry = _Entry()
    started = now()
    for _ in range(n):
        entry.began_at = time.monotonic()
        registry[entry] = None
        entry.thread_id = threading.get_ident()
        registry.pop(entry, None)
    return now() - started


@contextmanager
def registry_cost() -> Iterator[list[Candidate]]:
    call, awaited = syncify(at_once), asyncify(nothing)
    with asyncio.Runner() as runner:

        def measure(n: int) -> float:
            return runner.run(awaited_one_after_another(awaited, n))

        yield [
            Candidate("being seen in flight", "ours", _enter_and_leave),
            Candidate("a whole syncified call", "floor", functools.partial(one_after_another, call)),
            Candidate("a whole asyncified call", "floor", measure),
        ]


WORKLOADS = [
    Workload("registry", "what a call does to be seen by in_flight() and dump(), beside the whole call", registry_cost)
]

"""asyncify under trio: from what trio itself does for a thread to the whole call."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio
from anyio import to_thread

from gllm_core.concurrency import asyncify

from .. import peers
from ..async_workloads import nothing
from ..clocks import Async, awaited_one_after_another
from ..model import Candidate, Workload
from .ladder import Goal, Ladder, times

BARE = "trio.to_thread.run_sync"


async def _in_group() -> None:
    async with anyio.create_task_group():
        await to_thread.run_sync(nothing)


async def _beside_a_task() -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep_forever)
        await to_thread.run_sync(nothing)
        group.cancel_scope.cancel()


def _in_nursery(trio: Any) -> Async:
    async def call() -> None:
        async with trio.open_nursery():
            await trio.to_thread.run_sync(nothing)

    return call


def _beside_a_task_of_trio(trio: Any) -> Async:
    async def call() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            await trio.to_thread.run_sync(nothing)
            nursery.cancel_scope.cancel()

    return call


def _scheduled_by_hand(trio: Any) -> Async:
    """The same thread, without all that a function on it can do with trio; its awaiter hears of a cancellation in no task."""

    async def call() -> None:
        task, token = trio.lowlevel.current_task(), trio.lowlevel.current_trio_token()

        def never(_: object) -> object:
            return trio.lowlevel.Abort.FAILED

        def deliver(_: object) -> None:
            token.run_sync_soon(trio.lowlevel.reschedule, task)

        trio.lowlevel.start_thread_soon(nothing, deliver)
        await trio.lowlevel.wait_task_rescheduled(never)

    return call


@contextmanager
def steps() -> Iterator[list[Candidate]]:
    trio: Any = peers.module("trio")

    def measure(call: Async, n: int) -> float:
        took_s: float = trio.run(awaited_one_after_another, call, n)
        return took_s

    found: dict[str, Async] = {
        BARE: functools.partial(trio.to_thread.run_sync, nothing),
        "+ by way of AnyIO: anyio.to_thread.run_sync": functools.partial(to_thread.run_sync, nothing),
        "+ a task group around it": _in_group,
        "+ a task in it, which would hear of a cancellation": _beside_a_task,
    }
    beside: dict[str, Async] = {
        "in a nursery of trio's, without AnyIO": _in_nursery(trio),
        "beside a task in it, without AnyIO": _beside_a_task_of_trio(trio),
        "trio.lowlevel alone": _scheduled_by_hand(trio),
    }
    yield [
        Candidate("the whole call", "ours", functools.partial(measure, asyncify(nothing))),
        *(Candidate(name, "floor", functools.partial(measure, call)) for name, call in found.items()),
        *(Candidate(name, "peer", functools.partial(measure, call)) for name, call in beside.items()),
    ]


LIMIT = """
Most of it is one step: a task that would hear of a cancellation, which the function's own calls must be told of at once (S7),
while trio tells the awaiter of a thread nothing until the function has returned. trio makes, begins, cancels and ends that task
for each call. trio.lowlevel alone would need neither the task nor the group, but `anyio.from_thread.check_cancelled` works only
on threads that trio's own `to_thread` has made ready, in a place of its own (A7).
"""

LADDERS = [
    Ladder(
        Workload("asyncify-trio", "one call after another, on trio", steps, settings=("pinned",)),
        Goal("free: asyncify-trio / nearest peer", BARE, times(1, BARE)),
        LIMIT,
    )
]

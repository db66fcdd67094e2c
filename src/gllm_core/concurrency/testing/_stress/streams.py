"""Streams and scopes in both directions, left at random points: by an error, a cancellation, or just dropped (I1 to I4)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import closing, nullcontext, suppress
from functools import partial

import anyio
from anyio.lowlevel import checkpoint

from gllm_core.concurrency import asyncify_context, asyncify_iterator, syncify_context, syncify_iterator

from .history import CANCELLED, Entry
from .rounds import PATIENCE_S, Gauge, Round, Scenario
from .sources import LONGEST, LeftError, Source, caller

OVER = -1
"""Instead of an item, when there are no more."""


async def _consume(source: Source, entry: Entry, gauge: Gauge | None, leave: str, after: int) -> int:
    stream = asyncify_iterator(source.items, limiter=None if gauge is None else gauge.limiter)()
    step: Callable[[], Awaitable[int]] = partial(anext, stream, OVER)
    count = 0
    thrown = raised = False
    try:
        while (item := await _next_or_over(step)) != OVER:
            step = partial(anext, stream, OVER)
            source.got(item, count)
            count += 1
            if count == after and leave in ("break", "drop"):
                break
            if count == after and leave == "error":
                raise LeftError
            if count == after and leave == "throw":
                thrown, step = True, partial(stream.athrow, LeftError())
            await checkpoint()
    except LeftError:
        raised = True
    finally:
        del step
        if leave == "drop":
            del stream
        else:
            await stream.aclose()
            source.is_closed()
    if thrown:
        source.verdict(raised)
    return entry.number


async def _next_or_over(step: Callable[[], Awaitable[int]]) -> int:
    try:
        return await step()
    except StopAsyncIteration:
        return OVER


async def _enter(source: Source, entry: Entry, gauge: Gauge | None, leave: str) -> int:
    raised = False
    try:
        async with asyncify_context(source.scope, limiter=None if gauge is None else gauge.limiter)():
            await checkpoint()
            if leave == "error":
                raise LeftError
    except LeftError:
        raised = True
    if leave == "error":
        source.verdict(raised)
    source.is_closed()
    return entry.number


async def _task(round_: Round, gauge: Gauge, name: str) -> None:
    chosen = round_.random_for(name)
    for _ in range(chosen.randrange(1, 4)):
        leave = chosen.choice(("at the end", "break", "error", "throw", "drop", "deadline", "native"))
        as_scope = chosen.random() < 0.3
        cancelled = leave in ("deadline", "native")
        what = f"asyncify_{'context' if as_scope else 'iterator'}, left: {leave}"
        entry = round_.history.new(what, *((CANCELLED,) if cancelled else ()), error=round_.error_for(chosen))
        limited = gauge if chosen.random() < 0.5 else None
        source = Source(round_, entry, chosen, None if as_scope else limited)
        caller.set(entry.number)
        if as_scope:
            call = _enter(source, entry, limited, leave)
        else:
            call = _consume(source, entry, limited, leave, chosen.randrange(1, LONGEST))
        delay_s = chosen.random() ** 3 * 0.005
        if leave == "native":
            task = asyncio.create_task(entry.settle_async(call))
            await asyncio.sleep(delay_s)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            if not entry.outcomes:
                entry.came(CANCELLED)  # before it had begun
        else:
            with anyio.move_on_after(delay_s if leave == "deadline" else None):
                await entry.settle_async(call)


async def _loop(round_: Round, gauge: Gauge, name: str) -> None:
    chosen = round_.random_for(name)
    # Plain tasks, as a task group would take a cancellation that belongs to one of them for its own.
    await asyncio.gather(*(_task(round_, gauge, f"{name}.{number}") for number in range(chosen.choice((1, 3, 12)))))


def _thread(round_: Round, name: str) -> None:
    """A thread that consumes what async functions give."""
    chosen = round_.random_for(name)
    for _ in range(chosen.randrange(1, 6)):
        leave = chosen.choice(("at the end", "break", "error", "throw", "drop"))
        as_scope = chosen.random() < 0.3
        what = f"syncify_{'context' if as_scope else 'iterator'}, left: {leave}"
        entry = round_.history.new(what, error=round_.error_for(chosen))
        source = Source(round_, entry, chosen)
        caller.set(entry.number)
        if as_scope:
            entry.settle(partial(_scoped, source, entry, leave))
        else:
            entry.settle(partial(_streamed, source, entry, leave, chosen.randrange(1, LONGEST)))


def _streamed(source: Source, entry: Entry, leave: str, after: int) -> int:
    stream = syncify_iterator(source.async_items)()
    step: Callable[[], int] = partial(next, stream, OVER)
    count = 0
    thrown = raised = False
    with closing(stream) if leave != "drop" else nullcontext():
        try:
            while (item := _step_or_over(step)) != OVER:
                step = partial(next, stream, OVER)
                source.got(item, count)
                count += 1
                if count == after and leave in ("break", "drop"):
                    break
                if count == after and leave == "error":
                    raise LeftError
                if count == after and leave == "throw":
                    thrown, step = True, partial(stream.throw, LeftError())
        except LeftError:
            raised = True
    del stream, step
    source.is_closed()
    if thrown:
        source.verdict(raised)
    return entry.number


def _step_or_over(step: Callable[[], int]) -> int:
    try:
        return step()
    except StopIteration:
        return OVER


def _scoped(source: Source, entry: Entry, leave: str) -> int:
    raised = False
    try:
        with syncify_context(source.async_scope)():
            if leave == "error":
                raise LeftError
    except LeftError:
        raised = True
    if leave == "error":
        source.verdict(raised)
    source.is_closed()
    return entry.number


def _run(round_: Round) -> None:
    gauge = round_.gauge(round_.random.choice((1, 3, 40)))
    loops, threads = round_.random.choice(((1, 0), (1, 1), (2, 2), (0, 3)))
    with round_.faults.of_threads(may_fail=False):
        round_.in_threads(
            *[lambda number=number: asyncio.run(_loop(round_, gauge, f"loop {number}")) for number in range(loops)],
            *[partial(_thread, round_, f"thread {number}") for number in range(threads)],
        )
    # What was dropped is closed without anybody who waits for it.
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and any(len(each.ended) < len(each.began) for each in round_.history.entries):
        time.sleep(0.0005)


SCENARIO = Scenario("streams", "streams and scopes in both directions, left at random points", _run)

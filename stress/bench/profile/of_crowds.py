"""asyncify, many calls at once: with few tokens, with as many as AnyIO has by default, and with ever more calls that wait."""

from __future__ import annotations

import asyncio
import functools
import gc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager

from anyio import CapacityLimiter

from gllm_core.concurrency import asyncify

from ..async_workloads import nothing
from ..clocks import Async, awaited_at_once
from ..model import Candidate, Result, Workload
from .crowds import crowd_steps
from .ladder import Figures, Goal, Ladder, at, times

WIDTH = 200
FEW, MANY = 10, 10_000
DEFAULT_TOKENS = 40
POOL = "loop.run_in_executor, a pool of {} threads"
DEFAULT_POOL = "loop.run_in_executor, its default pool"
WHOLE = "the whole call"


def limited(tokens: int) -> Callable[[], AbstractContextManager[list[Candidate]]]:
    """*WIDTH* calls at once with a limiter of their own, and the peer with as many threads."""

    @contextmanager
    def opened() -> Iterator[list[Candidate]]:
        with ExitStack() as stack:
            runner = stack.enter_context(asyncio.Runner())
            pool = stack.enter_context(ThreadPoolExecutor(tokens, thread_name_prefix="bench-executor"))
            ours = asyncify(nothing, limiter=CapacityLimiter(tokens))
            yield _candidates(stack, runner, tokens, ours, POOL.format(tokens), pool)

    return opened


@contextmanager
def by_default() -> Iterator[list[Candidate]]:
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        yield _candidates(stack, runner, DEFAULT_TOKENS, asyncify(nothing), DEFAULT_POOL, None)


def _candidates(
    stack: ExitStack, runner: asyncio.Runner, tokens: int, ours: Async, peer: str, pool: ThreadPoolExecutor | None
) -> list[Candidate]:
    def measure(call: Async, n: int) -> float:
        return runner.run(awaited_at_once(call, n, WIDTH))

    in_pool = functools.partial(runner.get_loop().run_in_executor, pool, nothing)
    return [
        Candidate(WHOLE, "ours", functools.partial(measure, ours)),
        *(Candidate(name, "floor", functools.partial(measure, call)) for name, call in crowd_steps(stack, runner, tokens)),
        Candidate(peer, "peer", functools.partial(measure, in_pool)),
    ]


@contextmanager
def growth() -> Iterator[list[Candidate]]:
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())

        def measure(call: Async, width: int, n: int) -> float:
            made = max(n, width)
            return runner.run(awaited_at_once(call, made, width)) * n / made

        def measure_without_collector(call: Async, width: int, n: int) -> float:
            gc.disable()
            try:
                return measure(call, width, n)
            finally:
                gc.enable()

        whole = asyncify(nothing)
        yield [
            *(Candidate(at(WHOLE, width), "ours", functools.partial(measure, whole, width)) for width in (FEW, MANY)),
            *(
                Candidate(at(name, width), "floor", functools.partial(measure, call, width))
                for name, call in crowd_steps(stack, runner, DEFAULT_TOKENS)
                for width in (FEW, MANY)
            ),
            *(
                Candidate(
                    at(f"{WHOLE}, without the garbage collector", width),
                    "peer",
                    functools.partial(measure_without_collector, whole, width),
                )
                for width in (FEW, MANY)
            ),
        ]


def _allowed_growth(result: Result) -> Figures:
    return [0.3 * figure for figure in result.per_call[at(WHOLE, FEW)]]


DEFAULT_LIMIT = """
The pool makes no task and has no tokens, and these two are more than half of what it takes in all. Neither is ours to leave
out: what is gathered is a coroutine function's (A1), so asyncio makes a task of it, and the tokens are those of all who use
AnyIO (A3). A thread is hardly dearer here than a turn of the loop, as one wake-up takes many calls along.
"""

LIMITED_LIMIT = """
A token goes from one call to the next by way of the loop, and a turn of the loop hands on four at most. Four threads of a pool
each take the next function from a queue, without the loop; so the tasks, the tokens and a thread alone cost about what the
pool does: that is the limit. What the whole call adds is much, and could become less. Beside what it always adds, loops in
several threads may share the limiter (A3, A11), for which AnyIO's is not made: a lock, and a queue in front of AnyIO's own.
"""

GROWTH_LIMIT = """
Tasks that wait for AnyIO's tokens grow by more than the bar allows, without a thread and without a line of ours; the rest adds
little, and where it seems to take something away, that is noise. While it waits, each keeps two coroutines, an event, and an
exception with its traceback, which the garbage collector looks at, and which no cache of a processor holds ten thousand times.
"""

LADDERS = [
    Ladder(
        Workload("asyncify-200", f"{WIDTH} at once, default limits", by_default, grain=WIDTH, settings=("pinned",)),
        Goal("free: asyncify-200 / nearest peer", DEFAULT_POOL, times(1, DEFAULT_POOL)),
        DEFAULT_LIMIT,
    ),
    Ladder(
        Workload("asyncify-limiter", f"{WIDTH} at once, 4 at a time", limited(4), grain=WIDTH, settings=("pinned",)),
        Goal("free: asyncify-limiter / nearest peer", POOL.format(4), times(1, POOL.format(4))),
        LIMITED_LIMIT,
    ),
    Ladder(
        Workload(
            "asyncify-growth",
            "what a call costs more as more are in flight",
            growth,
            grain=1_000,
            grow=False,
            settings=("pinned",),
        ),
        Goal("asyncify, 10,000 in flight / 10", "0.3 x the whole call, 10 in flight", _allowed_growth),
        GROWTH_LIMIT,
        patience=4.0,
        widths=(FEW, MANY),
    ),
]

"""asyncify, one call after another: from a lock that two threads hand to and fro to the whole call."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from anyio import CapacityLimiter

from gllm_core.concurrency import asyncify

from ..async_workloads import nothing
from ..awaiters import thread_by_queue
from ..callers import ping_pong
from ..clocks import Async, Sync, awaited_one_after_another, one_after_another
from ..model import Candidate, Workload
from . import threads
from .ladder import Goal, Ladder, times

PEER = "asyncio.to_thread"


@contextmanager
def steps() -> Iterator[list[Candidate]]:
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        loop = runner.get_loop()
        limiter = runner.run(_limiter())
        lock = stack.enter_context(ping_pong()).call

        def measure(call: Async, n: int) -> float:
            return runner.run(awaited_one_after_another(call, n))

        in_threads: dict[str, Callable[[ExitStack, asyncio.AbstractEventLoop, Sync, CapacityLimiter], Async]] = {
            "+ a token of AnyIO's limiter": threads.with_token,
            "+ a copy of the awaiter's context": threads.with_context,
            "+ arguments, an outcome, and it is known while in flight": threads.with_record,
            "+ what `anyio.from_thread` needs": threads.with_way_back,
            "+ a thread that is one of many, and leaves after idling": threads.with_cached_thread,
            "+ a look whether the awaiter was cancelled before": threads.with_look,
        }
        found: dict[str, Async] = {"+ a loop that is woken, and a future": threads.by_thread(stack, loop, nothing)}
        found |= {name: make(stack, loop, nothing, limiter) for name, make in in_threads.items()}
        beside: dict[str, Async] = {
            PEER: functools.partial(asyncio.to_thread, nothing),
            "SimpleQueue and call_soon_threadsafe": stack.enter_context(thread_by_queue(loop, nothing)).call,
        }
        yield [
            Candidate("the whole call", "ours", functools.partial(measure, asyncify(nothing))),
            Candidate("a lock, handed to and fro between two threads", "floor", functools.partial(one_after_another, lock)),
            *(Candidate(name, "floor", functools.partial(measure, call)) for name, call in found.items()),
            *(Candidate(name, "peer", functools.partial(measure, call)) for name, call in beside.items()),
        ]


async def _limiter() -> CapacityLimiter:
    """Made where a loop runs: elsewhere AnyIO puts a layer between, which looks for the loop at each use."""
    return CapacityLimiter(40)


LIMIT = """
A thread is woken, and a loop: that is about half of it, and the limit. Tokens, the context, the way back for the function and
a thread of many are promised (A2, A3, A7, A12). What the whole call adds to the last step waits for nothing and asks nothing
of the system: it is our own code, function calls in Python, on the thread of the loop. It is there so that no token and no
outcome is lost, whatever is cancelled, interrupted or closed meanwhile (A3 to A6). asyncio.to_thread has no tokens, and
leaves the function alone when its awaiter is cancelled. The bar is where the two are nearly even; only that last step can
become cheaper.
"""

LADDERS = [
    Ladder(
        Workload("asyncify", "one call after another", steps, settings=("pinned",)),
        Goal("asyncify / asyncio.to_thread", f"0.7 x {PEER}", times(0.7, PEER)),
        LIMIT,
    )
]

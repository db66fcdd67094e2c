"""Uses every public name once, in both directions, on whatever loop `sys.argv[1]` names."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import sys
import threading
import warnings
from collections.abc import AsyncIterator, Iterator

import anyio
from anyio import CapacityLimiter
from anyio.from_thread import start_blocking_portal

import gllm_core.concurrency as concurrency
from gllm_core.concurrency import (
    BlockedLoopWarning,
    PortalNotRunningError,
    ReentrantCallWarning,
    asyncify,
    asyncify_context,
    asyncify_iterator,
    dump,
    get_default_portal,
    in_flight,
    syncify,
    syncify_context,
    syncify_iterator,
)

limiter = CapacityLimiter(2)
caught: list[type[Warning]] = []


@asyncify(limiter=limiter)
def add(x: int, y: int) -> int:
    return x + y


@asyncify_iterator(limiter=limiter)
def count(to: int) -> Iterator[int]:
    yield from range(to)


@asyncify_context(limiter=limiter)
@contextlib.contextmanager
def borrowed(what: str) -> Iterator[str]:
    yield what


@syncify
async def total(*numbers: int) -> int:
    result = 0
    for number in numbers:
        result = await add(result, number)
    return result


@syncify_iterator
async def ticks(to: int) -> AsyncIterator[int]:
    async for number in count(to):
        yield number


@syncify_context
@contextlib.asynccontextmanager
async def lent(what: str) -> AsyncIterator[str]:
    async with borrowed(what) as it:
        yield it


@syncify
async def reentrant() -> int:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always", ReentrantCallWarning)
        found = total(1, 2)
    caught.extend(warning.category for warning in heard)
    return found


async def main() -> None:
    assert await add(1, 2) == 3
    assert [number async for number in count(3)] == [0, 1, 2]
    async with borrowed("scope") as what:
        assert what == "scope"
    assert await asyncify(total)(1, 2, 3) == 6
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always", BlockedLoopWarning)
        assert total(4, 5) == 9
    caught.extend(warning.category for warning in heard)
    gate = threading.Event()
    with anyio.move_on_after(0.01) as scope:
        await asyncify(gate.wait, cancellable=True)(60)
    assert scope.cancelled_caught
    gate.set()
    gate = threading.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(asyncify(gate.wait, cancellable=False), 60)
        while ("Event.wait", "running") not in [(call.function, call.state) for call in in_flight()]:
            await anyio.lowlevel.checkpoint()
        text = io.StringIO()
        dump(text)
        assert "wait" in text.getvalue()
        gate.set()


def run() -> None:
    if sys.argv[1] == "uvloop":
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
            assert type(runner.get_loop()).__module__.startswith("uvloop")
    else:
        anyio.run(main, backend=sys.argv[1])


def portals() -> None:
    options = {"use_uvloop": True} if sys.argv[1] == "uvloop" else {}
    backend = "asyncio" if sys.argv[1] == "uvloop" else sys.argv[1]
    with start_blocking_portal(backend, options) as portal:
        assert syncify(anyio.sleep, portal=portal)(0) is None
    try:
        syncify(anyio.sleep, portal=portal)(0)
    except PortalNotRunningError as error:
        print("refused:", "not running" in str(error))
    old = get_default_portal()
    old.call(old.stop)
    assert total(1, 1) == 2
    assert get_default_portal() is not old


run()
assert total(1, 2, 3) == 6
assert list(ticks(3)) == [0, 1, 2]
with lent("scope") as what:
    assert what == "scope"
assert reentrant() == 3
portals()
if sys.argv[1] != "trio" and os.fork() == 0:
    sys.exit(0 if total(1, 2) == 3 else 1)
if sys.argv[1] != "trio":
    print("child:", os.waitstatus_to_exitcode(os.wait()[1]))
print("warned:", *(category.__name__ for category in caught))
print("unused:", sorted(name for name in concurrency.__all__ if name not in globals() and name != "CallInFlight"))

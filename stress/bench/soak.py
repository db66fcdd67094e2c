"""What stays: memory over a million calls, threads at the peak and once they have idled. `python -m bench.soak` prints JSON."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import threading
import time
from pathlib import Path

from gllm_core.concurrency import asyncify, syncify

from .async_workloads import nothing
from .sync_workloads import at_once

CALLS = 1_000_000
"""Half of them in each direction."""
AT_ONCE = 10_000
LATER_S = 30.0


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _threads() -> int:
    return sum(thread.name.startswith("gllm-worker-") for thread in threading.enumerate())


async def _awaited(calls: int) -> None:
    call = asyncify(nothing)
    for _ in range(calls):
        await call()


async def _peak() -> int:
    """The most threads that were seen while `AT_ONCE` calls were in flight under the default limiter."""
    most = 0

    def look() -> None:
        nonlocal most
        most = max(most, _threads())

    await asyncio.gather(*(asyncify(look)() for _ in range(AT_ONCE)))
    return most


def _calls(calls: int) -> None:
    call = syncify(at_once)
    for _ in range(calls // 2):
        call()
    asyncio.run(_awaited(calls // 2))


def measure(calls: int, later_s: float) -> dict[str, float]:
    _calls(calls // 10)  # warm-up
    gc.collect()
    before = _resident_bytes()
    started = time.perf_counter()
    _calls(calls)
    took_s = time.perf_counter() - started
    gc.collect()
    grown = _resident_bytes() - before
    most = asyncio.run(_peak())
    time.sleep(later_s)
    return {
        "calls": calls,
        "seconds": took_s,
        "grown_bytes": grown,
        "at_once": AT_ONCE,
        "threads_at_peak": most,
        "later_s": later_s,
        "threads_later": _threads(),
    }


if __name__ == "__main__":
    json.dump(measure(CALLS, LATER_S), sys.stdout)

"""Scenarios that workers look up by name, and shards of a campaign that lose their worker."""

from __future__ import annotations

import os
import select
import signal
import threading
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from explore.brute_force import Program, perform
from explore.one_line import step
from gllm_core.concurrency.testing.explore._runner import Settings
from gllm_core.concurrency.testing.explore._shard import Exploration, Shard, ShardResult, run_shard

PROGRAMS: tuple[Program, ...] = (("step", "step"), ("acquire a", "step", "release a"), ("acquire a", "step", "release a"))

MARKER = "CAMPAIGN_MARKER"
"""The environment variable that names the file which says that a worker has been lost already."""


def sound() -> None:
    """Three threads; how many schedules they have is counted without any thread by `brute_force.count`."""
    perform(PROGRAMS)


def lost_update() -> None:
    """Two threads count up without a lock: one preemption loses an update."""
    counter = [0]

    def add() -> None:
        seen = counter[0]
        step()
        counter[0] = seen + 1

    threads = [threading.Thread(target=add) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter == [2]


def waits_for_something_real() -> None:
    """No scheduling point, and no end: nobody ever writes to that pipe."""
    read, _write = os.pipe()
    select.select([read], [], [])


def dies() -> None:
    """The interpreter crashes."""
    os.kill(os.getpid(), signal.SIGKILL)


def exploration(name: str, preemptions: int | None = 2, sampled: int | None = None) -> Exploration:
    """One of the above."""
    settings = Settings(modules=("explore.one_line",), stall_s=1_000.0)
    return Exploration(name, f"{__name__}:{name}", settings, preemptions, sampled)


def loses_its_worker_once(shard: Shard) -> ShardResult:
    """As if the machine had gone down in the middle of the second shard."""
    result = run_shard(shard)
    marker = Path(os.environ[MARKER])
    if shard.levels is not None and len(shard.levels) > 1 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return result


def has_a_long_result(shard: Shard) -> ShardResult:
    """Its worker is killed as soon as it has written as much of the result as a pipe takes at once."""
    send = Connection._send  # type: ignore[attr-defined] # what writes to the pool's pipe

    def cut(self: Any, data: Any, *args: Any) -> None:
        if len(data) > select.PIPE_BUF:
            os.write(self.fileno(), data[: select.PIPE_BUF])
            os.kill(os.getpid(), signal.SIGKILL)
        send(self, data, *args)

    Connection._send = cut  # type: ignore[attr-defined]
    return replace(run_shard(shard), why="of many words " * 10_000)


def always_loses_its_worker(shard: Shard) -> ShardResult:
    """What ends every worker that takes it up."""
    os.kill(os.getpid(), signal.SIGKILL)
    return ShardResult(shard.key)


def small(shard: Shard) -> ShardResult:
    """The same shard, cut off after a moment, so that there are many."""
    return run_shard(replace(shard, seconds=0.15))

"""The child process of a shard: reads it from stdin, explores, and writes the result to what was stdout, both pickled."""

from __future__ import annotations

import faulthandler
import logging
import os
import pickle
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module

from .._stacks import report
from ._real import monotonic
from ._runner import Runner
from ._search import Search
from ._shard import Shard, ShardResult
from ._strategies import Exhaustive, Pct

HANG_STATUS = 3
TURN_S = 0.1


class Watchdog:
    """Ends the process when a schedule takes too long: by the turns that this thread itself got, not by the clock."""

    def __init__(self, shard: Shard, say: Callable[[ShardResult], None]) -> None:
        self._shard = shard
        self._say = say
        self._left_s = float("inf")
        self._parent = os.getppid()
        self._sleep = time.sleep  # the real one, whatever is virtual meanwhile
        threading.Thread(target=self._watch, name="explore-watchdog", daemon=True).start()

    def watch(self, scenario: Callable[[], object]) -> Callable[[], object]:
        """The scenario, whose every run has `limit_s` seconds."""

        def watched() -> object:
            self._left_s = self._shard.limit_s
            return scenario()

        return watched

    def _watch(self) -> None:
        while self._left_s > 0:
            self._sleep(TURN_S)
            self._left_s -= TURN_S
            if os.getppid() != self._parent:  # the worker is gone, and another will do its work
                os._exit(HANG_STATUS)
        self._say(ShardResult(self._shard.key, hang=f"no end after {self._shard.limit_s:g} s\n{report()}"))
        os._exit(HANG_STATUS)


def main() -> None:
    """Run the shard that stdin has."""
    path, shard = pickle.load(sys.stdin.buffer)
    sys.path += [entry for entry in path if entry not in sys.path]
    faulthandler.enable()
    answers = os.dup(1)
    os.dup2(2, 1)  # what a scenario prints is for a person

    def say(result: ShardResult) -> None:
        data = pickle.dumps(result)
        while data:
            data = data[os.write(answers, data) :]

    logging.getLogger("gllm_core.concurrency").setLevel(logging.CRITICAL + 1)  # crashes are what some scenarios are about
    say(_explore(shard, Watchdog(shard, say)))
    os._exit(0)


def _explore(shard: Shard, watchdog: Watchdog) -> ShardResult:
    module, _, function = shard.exploration.scenario.partition(":")
    scenario: Callable[[], object] = getattr(import_module(module), function)
    strategy = Exhaustive(shard.exploration.preemptions, shard.levels)
    with Runner(watchdog.watch(scenario), shard.exploration.settings) as runner:
        search = Search(runner, None if shard.replay is not None else monotonic() + shard.seconds, shard.samples or None)
        if shard.replay is not None:
            result = search.replay(shard.replay)
        elif shard.samples:
            result = search.sample("pct", Pct(shard.seed))
        else:
            result = search.exhaust(shard.exploration.preemptions, strategy)
    finding = result.finding
    return ShardResult(
        key=shard.key,
        schedules=result.schedules,
        steps=result.steps,
        seconds=result.seconds,
        finding=None if finding is None else replace(finding, error=None),  # which need not be one that can be pickled
        rest=strategy.rest if shard.levels is not None and finding is None else [],
        why=result.why,
        calm=search.calm,
    )


if __name__ == "__main__":
    main()

"""The child process of a shard: runs rounds of one scenario, and tells its parent of each, one JSON object a line.

A round that does not end is ended here, with the stacks of all threads and the await chains of all tasks; where even that is
impossible, as somebody holds the interpreter's lock for good, by faulthandler; and after that by the parent.
"""

from __future__ import annotations

import dataclasses
import faulthandler
import json
import logging
import os
import random
import sys
import threading
import time
import warnings
from typing import Any

from .._stacks import report
from .catalogue import SCENARIOS
from .memory import Memory
from .rounds import Result, Scenario, run_round

HANG_STATUS = 3
LAST_RESORT = 4.0
"""How many times the round's limit faulthandler waits."""

TURN_S = 0.1


class Line:
    """The way to the parent: the descriptor that was stdout. One write for each message, so that messages stay whole."""

    def __init__(self) -> None:
        self._descriptor = os.dup(1)
        os.dup2(2, 1)  # what a scenario prints is for a person

    def say(self, **message: Any) -> None:
        data = (json.dumps(message) + "\n").encode()
        while data:
            data = data[os.write(self._descriptor, data) :]


class Watchdog:
    """Ends the process when a round takes too long: by the turns that this thread itself got, not by the clock.

    A machine on which hundreds of others want to run is no reason to call a round hung.
    """

    def __init__(self, line: Line, limit_s: float) -> None:
        self._line = line
        self._limit_s = limit_s
        self._round = 0
        self._left_s = float("inf")
        self._parent = os.getppid()
        threading.Thread(target=self._watch, name="stress-watchdog", daemon=True).start()

    def begin(self, number: int) -> None:
        self._round = number
        self._left_s = self._limit_s
        faulthandler.dump_traceback_later(LAST_RESORT * self._limit_s, exit=True)

    def end(self) -> None:
        self._left_s = float("inf")
        faulthandler.cancel_dump_traceback_later()

    def _watch(self) -> None:
        while self._left_s > 0:
            time.sleep(TURN_S)
            self._left_s -= TURN_S
            if os.getppid() != self._parent:  # nobody is left to be told
                os._exit(HANG_STATUS)
        self._line.say(hang=self._round, report=report())
        os._exit(HANG_STATUS)


def main() -> None:
    """Run the rounds that the first argument asks for."""
    asked = json.loads(sys.argv[1])
    line = Line()
    faulthandler.enable()
    # What the scenarios do on purpose is reported by some: a crashed portal, a function's error that nobody waits for.
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    threading.excepthook = _in_silence
    scenario = SCENARIOS[asked["scenario"]]
    until = time.monotonic() + asked["seconds"]
    number: int = asked["first"]
    done = 0
    random.seed(asked["seed"])
    watchdog = None if scenario.fresh and hasattr(os, "fork") else Watchdog(line, asked["limit_s"])
    memory = Memory()
    while done == 0 or (time.monotonic() < until and done != asked["rounds"]):
        line.say(begin=number)
        if _run_forked(scenario, asked, number, line) if watchdog is None else _run(scenario, asked, number, line, watchdog):
            break
        done += 1
        number += 0 if asked["again"] else 1
        memory.after_round(done)
    line.say(done=done, grown=memory.grown(), highest=memory.highest)
    os._exit(0)


def _run(scenario: Scenario, asked: Any, number: int, line: Line, watchdog: Watchdog) -> bool:
    watchdog.begin(number)
    result: Result = run_round(scenario, asked["seed"], number, asked["limit_s"])
    watchdog.end()
    line.say(end=dataclasses.asdict(result))
    return bool(result.violations or result.leaks)


def _run_forked(scenario: Scenario, asked: Any, number: int, line: Line) -> bool:
    pid = os.fork()
    if pid == 0:
        bad = True
        try:
            bad = _run(scenario, asked, number, line, Watchdog(line, asked["limit_s"]))
        finally:
            os._exit(1 if bad else 0)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status < 0:
        line.say(died=number, status=status)
    return status != 0


def _in_silence(_args: object) -> None:
    """Daemonic threads that a scenario leaves behind say nothing; actors' errors are in the history."""


if __name__ == "__main__":
    main()

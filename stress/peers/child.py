"""One cell, in a process of its own: `python -m peers.child SCENARIO LIBRARY`. Prints what was seen as lines of JSON."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import traceback

from .libraries import library
from .model import NotOffered
from .scenarios import SCENARIOS
from .scene import say, shown

LIFETIME_S = 180
"""No process outlives a run that was killed, in seconds."""

STACKS = signal.SIGUSR1
"""On this signal the stacks of all threads go to stderr."""


def main() -> None:
    scenario = SCENARIOS[sys.argv[1]]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
    signal.alarm(LIFETIME_S)
    faulthandler.register(STACKS, all_threads=True)
    one = library(sys.argv[2])
    try:
        scenario.play(one)
    except NotOffered as reason:
        _conclude("not offered", str(reason))
    except BaseException as error:  # noqa: BLE001 # not foreseen: the run fails, and somebody has to look
        traceback.print_exc()
        _conclude("error", shown(error))
    else:
        say("outcome", "holds")
        if not scenario.until_exit:
            _leave()


def _conclude(outcome: str, seen: str) -> None:
    say("seen", seen)
    say("outcome", outcome)
    _leave()


def _leave() -> None:
    """At once: what the interpreter's exit would do to what is left is another scenario."""
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()

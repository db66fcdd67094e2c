"""KeyboardInterrupt at random moments, and at each line of the library in turn (S6): nothing leaks, nothing runs on."""

from __future__ import annotations

import asyncio
import itertools
import signal
import sys
import threading
import time
from dis import opmap
from types import FrameType
from typing import Any

import anyio

from gllm_core.concurrency import asyncify, get_default_portal, syncify

from .._perturb import of_library
from . import callables
from .history import CANCELLED, INTERRUPTED, Entry
from .rounds import Round, Scenario

NOP = opmap["NOP"]


class _Interrupter:
    """Interrupts the main thread once for each time that it is armed."""

    def __init__(self, round_: Round) -> None:
        self.armed = False
        self._round = round_
        self._over = False
        self._random = round_.random_for("interrupter")
        self._main = threading.main_thread().ident or 0
        self._thread = threading.Thread(target=self._interrupt, name="interrupter", daemon=True)

    def __enter__(self) -> _Interrupter:
        self._handler = signal.signal(signal.SIGINT, self._handle)
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.armed = False
        self._over = True
        self._thread.join()
        signal.signal(signal.SIGINT, self._handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.armed:
            self.armed = False
            self._round.faults.count("interrupt")
            raise KeyboardInterrupt

    def _interrupt(self) -> None:
        while not self._over:
            time.sleep(self._random.random() ** 2 * 0.003)
            signal.pthread_kill(self._main, signal.SIGINT)


def _run(round_: Round) -> None:
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "pthread_kill"):
        return
    with _Interrupter(round_) as interrupter:
        for _ in range(15):
            _interrupted_call(round_, interrupter)
    # What was interrupted left nothing behind that stands in the way of the next call.
    entry = round_.history.new("afterwards")
    entry.settle(syncify(callables.coroutine_function(round_, entry, round_.random)))


def _interrupted_call(round_: Round, interrupter: _Interrupter) -> None:
    nested = round_.random.random() < 0.3
    entry = round_.history.new("asyncify, run" if nested else "syncify", INTERRUPTED, CANCELLED)
    if nested:
        # asyncio's own handler would take the interrupt for itself; here it hits whatever the loop is doing.
        call = syncify(asyncify(callables.function(round_, entry, round_.random)))
    else:
        call = syncify(callables.coroutine_function(round_, entry, round_.random))
    try:
        interrupter.armed = True
        value = call()
        interrupter.armed = False
    except KeyboardInterrupt:
        entry.came(INTERRUPTED)
    else:
        entry.came(entry.of_value(value))


SCENARIO = Scenario("interrupts", "Ctrl-C in the main thread, at random moments", _run)


def _sweep(round_: Round) -> None:
    """Interrupt a call at the n-th line of the library that this thread runs, for ever greater n, until it runs no more."""
    if sys.gettrace() is not None:  # by coverage, or by the perturbation of this round
        round_.history.note("lines are watched by somebody else")
        return
    kind = round_.random.choice(("syncify", "nested", "re-entrant"))
    anew = round_.random.random() < 0.5
    for line in itertools.count(1):
        if anew:
            get_default_portal().call(get_default_portal().stop)
        entry = round_.history.new(f"{kind}, interrupted at line event {line}", INTERRUPTED, CANCELLED)
        if not _interrupted_at(round_, entry, kind, line):
            return


def _interrupted_at(round_: Round, entry: Entry, kind: str, line: int) -> bool:
    """Returns whether the call came as far as to that line."""
    passed = 0
    reached = False

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal passed, reached
        if not of_library(frame.f_code.co_filename):
            return None
        if event == "line" and not reached and not _does_nothing(frame):
            passed += 1
            if passed == line:
                reached = True
                where = f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}"
                round_.history.note(f"interrupt of call {entry.number} at {where}")
                round_.faults.count("interrupt")
                raise KeyboardInterrupt
        return trace

    async def coroutine() -> int:
        with entry.running():
            await anyio.sleep(0.001)
            return entry.result()

    async def re_entrant() -> int:
        return syncify(coroutine)()

    def blocking() -> int:
        with entry.running():
            time.sleep(0.001)
            return entry.result()

    call = {"syncify": syncify(coroutine), "nested": syncify(asyncify(blocking)), "re-entrant": re_entrant}[kind]
    try:
        if kind == "re-entrant":
            sys.settrace(trace)
            value: object = asyncio.run(re_entrant())
        else:
            sys.settrace(trace)
            value = call()
    except KeyboardInterrupt:
        entry.came(INTERRUPTED)
    except BaseException as error:  # noqa: BLE001 # what else it ends with is the outcome
        entry.came(entry.classify(error))
    else:
        entry.came(entry.of_value(value))
    finally:
        sys.settrace(None)
    return reached


def _does_nothing(frame: FrameType) -> bool:
    """Whether the line begins with the NOP that a `try:` is. CPython looks for no signals there, nor would the statements
    around it handle what is raised: a nested `try:` is in no handler's range.
    """
    return frame.f_code.co_code[frame.f_lasti] == NOP


SWEEP = Scenario("sweep", "KeyboardInterrupt at each line of the library in turn", _sweep)

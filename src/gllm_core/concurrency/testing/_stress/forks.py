"""Forks at random moments, from any thread: the child works, and the parent goes on (P2, P5)."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from contextlib import suppress
from functools import partial

from gllm_core.concurrency import asyncify, get_default_portal, syncify

from .._stacks import report
from . import callables
from .history import History
from .rounds import Round, Scenario

CHILD_SHARE = 0.25
"""Which share of the round's limit a forked child may take until it shows its stacks; until it is killed, twice that."""


def _run(round_: Round) -> None:
    if not hasattr(os, "fork"):
        return
    left = [None] * 2

    def caller(number: int) -> None:
        chosen = round_.random_for(number)
        for _ in range(10):
            if chosen.random() < 0.5:
                entry = round_.history.new("syncify", error=round_.error_for(chosen))
                entry.settle(syncify(callables.coroutine_function(round_, entry, chosen)))
            else:
                entry = round_.history.new("asyncify", error=round_.error_for(chosen))
                asyncio.run(entry.settle_async(asyncify(callables.function(round_, entry, chosen))()))
        left.pop()

    def forker() -> None:
        chosen = round_.random_for("forker")
        if chosen.random() < 0.3:  # beside the first use
            get_default_portal().call(get_default_portal().stop)
        for _ in range(2):
            time.sleep(chosen.random() ** 2 * 0.02)
            _fork(round_)

    round_.in_threads(forker, *[partial(caller, number) for number in range(len(left))])


def _fork(round_: Round) -> None:
    read, write = os.pipe()
    round_.faults.count("fork")
    pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            _be_child(round_, write)
        os._exit(1)
    os.close(write)
    round_.history.note(f"forked {pid}")
    with os.fdopen(read, "rb") as said:
        status = _wait(pid, 2 * CHILD_SHARE * round_.limit_s)
        text = said.read().decode(errors="replace")
    if status:
        round_.history.wrong(f"a forked child ended with {status}: {text or 'without a word'}")


def _be_child(round_: Round, write: int) -> None:
    """All that a child needs: both directions, on threads and a portal of its own."""

    # Not to be touched: faulthandler's timer, whose end would be waited for; its thread has stayed with the parent.
    def give_up() -> None:
        time.sleep(CHILD_SHARE * round_.limit_s)
        os.write(write, f"hung\n{report()}".encode()[-60_000:])
        os._exit(1)

    threading.Thread(target=give_up, name="child-watchdog", daemon=True).start()
    history = History()
    for _ in range(2):
        entry = history.new("syncify in the child")
        entry.settle(syncify(callables.coroutine_function(round_, entry, round_.random)))
        entry = history.new("asyncify in the child", waits=True)
        asyncio.run(entry.settle_async(asyncify(callables.function(round_, entry, round_.random))()))
    wrong = history.violations()
    os.write(write, "\n".join(wrong).encode()[-60_000:])
    os._exit(1 if wrong else 0)


def _wait(pid: int, limit_s: float) -> int:
    """The status of the child, which is killed if it takes longer than *limit_s* seconds."""
    deadline = time.monotonic() + limit_s
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.002)


SCENARIO = Scenario("forks", "forks at random moments, beside calls and beside the first use", _run, fresh=True)

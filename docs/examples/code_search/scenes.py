"""Three moments at which bridges between threads and event loops like to hang: Ctrl-C, a fork, an exit."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import NamedTuple, NoReturn

import anyio

from gllm_core.concurrency import syncify

from .client import Hit, SearchClient, open_http

CRAWL_LIMIT_S = 10
CHILD_LIMIT_S = 20


class Interrupted(NamedTuple):
    """What a Ctrl-C in the middle of a call did."""

    interrupted: bool
    cleaned_up: bool
    took_s: float


def press_ctrl_c(url: str) -> Interrupted:
    """Call a coroutine that asks for ever, and press Ctrl-C while it does. Main thread only: signals arrive there."""
    pressed_at: list[float] = []
    cleaned_up = False

    @syncify
    async def crawl() -> None:
        nonlocal cleaned_up
        http = open_http(url)
        try:
            with anyio.move_on_after(CRAWL_LIMIT_S):
                for answers in itertools.count():
                    if answers == 3:
                        pressed_at.append(time.perf_counter())
                        os.kill(os.getpid(), signal.SIGINT)
                    await http.get("/search", params={"q": "crawl"})
        finally:
            with anyio.CancelScope(shield=True):  # clean-up that awaits, and is not cancelled itself
                await http.aclose()
            cleaned_up = True

    # Programs that a shell starts in the background ignore SIGINT.
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        crawl()
    except KeyboardInterrupt:
        if not pressed_at:  # that was the user's own Ctrl-C
            raise
        return Interrupted(True, cleaned_up, time.perf_counter() - pressed_at[0])
    finally:
        signal.signal(signal.SIGINT, previous)
    return Interrupted(False, cleaned_up, 0.0)


def ask_from_a_fork(url: str, question: str, expected: list[Hit]) -> int:
    """Ask in a forked child, whose copy of this process has none of its threads; return the child's exit status."""
    # A Ctrl-C waits till the end: in the middle of a fork's hooks, it would leave locks of `logging` held for ever.
    pressed: list[int] = []
    previous = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12+ warns of forks beside threads: the point here
            child = os.fork()
        if child == 0:
            _ask_and_exit(url, question, expected)
        _, wait_status = os.waitpid(child, 0)
    finally:
        signal.signal(signal.SIGINT, previous)
    if pressed:
        raise KeyboardInterrupt
    return os.waitstatus_to_exitcode(wait_status)


def _ask_and_exit(url: str, question: str, expected: list[Hit]) -> NoReturn:
    status = 1
    try:
        signal.alarm(CHILD_LIMIT_S)  # the bound: a child that hangs is killed, and its status says so
        with SearchClient(url) as client:  # its own, as connections cannot be shared with the parent
            status = 0 if client.search(question) == expected else 2
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        os._exit(status)  # the parent's clean-up is not the child's


class Left(NamedTuple):
    """How a program ended that left calls in flight."""

    status: int
    cleaned_up: bool
    errors: str
    took_s: float


def leave_with_calls_in_flight() -> Left:
    """Run `leave.py`, and measure from its last statement to its end."""
    program = Path(__file__).with_name("leave.py")
    ended = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=CHILD_LIMIT_S, check=False)
    ended_at = time.perf_counter()
    last_statement_at, _, rest = ended.stdout.partition("\n")
    took_s = ended_at - float(last_statement_at or "nan")
    return Left(ended.returncode, rest.strip() == "cleaned up", ended.stderr.strip(), took_s)

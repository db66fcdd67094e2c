"""The measurement: the same questions one after another, then from several threads; both are really asked."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from .client import Hit, SearchClient
from .screen import Screen
from .service import CodeSearch

BOUND = 4  # queries at once, in the service
THREADS = 8  # that ask at once, in the client
QUESTIONS = [
    "how to read a file line by line",
    "wait for a thread to finish",
    "parse the date and time of an HTTP header",
    "send a request and return the response",
    "split a string at each separator",
    "copy a directory tree",
    "start a process and read what it prints",
    "call a function in the event loop from a thread",
    "sort a list in place by a key",
    "encode and decode bytes as text",
    "set a timeout on a socket",
    "compile a regular expression and replace each match",
] * 4


class Run(NamedTuple):
    """The questions, asked once through."""

    answers: list[list[Hit]]
    most_at_once: int
    took_s: float


def ask_all(screen: Screen, service: CodeSearch, client: SearchClient, threads: int) -> Run:
    """Ask every question, from so many threads."""
    gauge = service.gauge
    gauge.reset()
    title = "ask one by one" if threads == 1 else f"ask from {threads} threads"

    def note() -> str:
        running = f"{gauge.now} running, " if gauge.now else ""
        return f"{running}at most {gauge.most} quer{'y' if gauge.most == 1 else 'ies'} at once, limit {BOUND}"

    with screen.stage(title, len(QUESTIONS), "questions", note) as advance, ThreadPoolExecutor(threads) as pool:
        begin = time.perf_counter()
        # After Ctrl-C, `map` drops the questions that were not asked yet.
        answers = list(pool.map(lambda question: ask(client, question, advance), QUESTIONS))
        return Run(answers, gauge.most, time.perf_counter() - begin)


def ask(client: SearchClient, question: str, done: Callable[[], None]) -> list[Hit]:
    """Ask one question: an ordinary call, from an ordinary thread."""
    answer = client.search(question)
    done()
    return answer


def compare(screen: Screen, serial: Run, concurrent: Run) -> None:
    """What the threads changed: the time. What they did not: the answers."""
    best = serial.answers[0][0]
    screen.say(f"        for example {QUESTIONS[0]!r} -> {best.name} in {best.path}, line {best.line}")
    complete = all(serial.answers) and len(serial.answers) == len(QUESTIONS)
    screen.check(
        complete and concurrent.answers == serial.answers, f"the same {len(QUESTIONS)} answers, from {THREADS} threads"
    )
    screen.check(serial.most_at_once == 1, f"one after another, {serial.most_at_once} query ran at once")
    at_once = concurrent.most_at_once
    screen.check(1 < at_once <= BOUND, f"from {THREADS} threads, {at_once} queries ran at once; the limiter's bound is {BOUND}")
    screen.say(
        f"        {serial.took_s:.2f} s one after another, {concurrent.took_s:.2f} s from threads; "
        f"client and service share one interpreter, {cores()}"
    )


def cores() -> str:
    """How many cores this process may use."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return f"on {count} core{'s' * (count > 1)}"

"""What there is right now that could be left behind, by name."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from types import FrameType
from typing import NamedTuple

from anyio import CapacityLimiter

from .._stacks import await_chain
from .._threads import current_frames
from . import _inside


class Thing(NamedTuple):
    """One thread, task, descriptor, borrowed token or call in flight."""

    kind: str
    """`thread`, `task`, `descriptor`, `token` or `call`."""
    key: object
    """What tells it from another of its kind."""
    text: str
    """What a person is told of it."""


Census = dict[tuple[str, object], Thing]


def take(limiters: Iterable[CapacityLimiter] | None) -> Census:
    """Everything that is there. *limiters*: those to look at; None stands for all of the process, which takes milliseconds."""
    things = [
        *_threads(),
        *_tasks(),
        *_calls(),
        *_descriptors(),
        *_tokens(_inside.limiters() if limiters is None else limiters),
    ]
    return {(thing.kind, thing.key): thing for thing in things}


def _threads() -> list[Thing]:
    mine = _inside.server_threads()
    threads = threading.enumerate()
    frames = current_frames()  # after the above, so that a thread that began and has no frame is over
    things: list[Thing] = []
    for thread in threads:
        if thread.ident in mine or thread is threading.current_thread():
            continue
        frame = frames.get(thread.ident or -1)
        over = frame is None and thread.ident is not None
        if not over and not (frame is not None and _inside.is_idle_worker(thread, frame)):
            things.append(Thing("thread", thread, _name_thread(thread, frame)))
    return things


def _name_thread(thread: threading.Thread, frame: FrameType | None) -> str:
    where = "" if frame is None else f", in {frame.f_code.co_qualname} ({frame.f_code.co_filename}:{frame.f_lineno})"
    return f"thread {thread.name!r}{', daemonic' if thread.daemon else ''}{where}"


def _tasks() -> list[Thing]:
    found: list[Thing] = []
    for task, portal in _inside.server_tasks().items():
        if not task.done():
            innermost = await_chain(task.get_coro())[-1].strip()
            found.append(Thing("task", task, f"task {task.get_name()!r} on {portal}, {innermost}"))
    return found


def _calls() -> list[Thing]:
    counts: dict[str, int] = {}
    found: list[Thing] = []
    for name in _inside.calls_in_flight():
        counts[name] = counts.get(name, 0) + 1
        found.append(Thing("call", (name, counts[name]), f"syncified call {name!r} in flight"))
    return found


def _tokens(limiters: Iterable[CapacityLimiter]) -> list[Thing]:
    found: list[Thing] = []
    for limiter in limiters:
        for number, borrower in enumerate(limiter.statistics().borrowers, 1):
            name = getattr(borrower, "name", None) or getattr(borrower, "__qualname__", type(borrower).__name__)
            text = f"token {number} of a limiter of {limiter.total_tokens}, borrowed by {name}"
            found.append(Thing("token", (id(limiter), id(borrower)), text))
    return found


def _descriptors() -> list[Thing]:
    """Empty where the system does not list them."""
    folder = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"
    mine = _inside.server_descriptors()
    found: list[Thing] = []
    with suppress(OSError):
        for name in os.listdir(folder):
            with suppress(OSError):  # the one that lists the folder is closed by now
                target = os.readlink(f"{folder}/{name}") if sys.platform == "linux" else str(os.fstat(int(name)).st_ino)
                if int(name) not in mine:
                    found.append(Thing("descriptor", (name, target), f"descriptor {name}: {target}"))
    return found

"""What a hang looks like from inside: the stack of every thread, the await chain of every task, the calls in flight."""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
import threading
import traceback
from collections.abc import Iterator
from typing import Any

from .._stacks import await_chain
from .._threads import current_frames
from ._inside import calls_in_flight

LONGEST_CHAIN = 100
"""How many links of one chain are shown."""


def report() -> str:
    """Everything that is known about why this process does not go on, as text for a person.

    **Threads:** may be called from any thread; the others go on meanwhile, so what it shows may already be over.
    """
    parts = [*_thread_parts(), *_task_parts()]
    names = calls_in_flight()
    parts.append(f"calls in flight: {', '.join(names)}" if names else "no syncified call is in flight")
    return "\n".join(parts)


def _thread_parts() -> Iterator[str]:
    frames = current_frames()
    known = {thread.ident: thread for thread in threading.enumerate()}
    for ident, frame in frames.items():
        thread = known.get(ident)
        name = "a thread unknown to threading" if thread is None else thread.name
        daemon = ", daemonic" if thread is not None and thread.daemon else ""
        here = ", which makes this report" if ident == threading.get_ident() else ""
        stack = "".join(traceback.format_stack(frame)).rstrip()
        yield f"thread {name!r} ({ident}{daemon}{here}), innermost line last:\n{stack}"


def _task_parts() -> Iterator[str]:
    trio = sys.modules.get("trio")
    trio_task: Any = () if trio is None else trio.lowlevel.Task
    for thing in gc.get_objects():
        # By its type: `isinstance` asks the thing itself, and a weak proxy raises, or a lazy object comes to life.
        if issubclass(type(thing), asyncio.Task):
            task: asyncio.Task[Any] = thing
            if not task.done():
                yield f"task {task.get_name()!r} of asyncio, innermost line last:\n" + "\n".join(await_chain(task.get_coro()))
        elif trio_task and issubclass(type(thing), trio_task):
            other: Any = thing
            if inspect.iscoroutine(other.coro) and inspect.getcoroutinestate(other.coro) != inspect.CORO_CLOSED:
                yield f"task {other.name!r} of trio, innermost line last:\n" + "\n".join(await_chain(other.coro))

"""dump: every bridge call in flight, with the stacks that say why it is, as text for a person."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from types import FrameType
from typing import Any, TextIO, TypeVar

from anyio import CapacityLimiter

from ._blocking import BlockingCall
from ._carrier_task_steps import Carriage
from ._registry import InFlight, registry
from ._snapshot import snapshot_of, thread_names
from ._stacks import line_of, links, stack_of
from ._threads import current_frames

T = TypeVar("T")

_OURS = os.path.dirname(__file__) + os.sep
_OF_ANY_THREAD = (f"{os.sep}threading.py", f"concurrent{os.sep}futures{os.sep}thread.py")
_BEGINS = ("work", "_work", "_serve")
"""What runs a function on its thread: of no interest, nor is what called it."""


def dump(file: TextIO | None = None) -> None:
    r"""Write every bridge call in flight, and where it is stuck, to *file*; None stands for `sys.stderr`, if there is one.

    For each call that waits: the stack of the thread that is blocked, then that of the coroutine that it waits for, down
    through the calls that this one makes, to the innermost line; and last, the limiters, with their tokens.
    A dump of the threads alone (faulthandler, py-spy) shows of an event loop just that it waits.

    **Threads:** may be called from any thread, on or off a loop, and from a signal handler. Other threads go on meanwhile.

    Example:
        >>> import io
        >>> report = io.StringIO()
        >>> dump(report)
        >>> report.getvalue()
        'no bridge call is in flight\n'
    """
    text = "\n".join(_Report().lines()) + "\n"
    target: TextIO | None = sys.stderr if file is None else file
    if target is None:  # the program has none: it was started without, or is a windowed one
        return
    try:
        target.write(text)
        target.flush()
    except RuntimeError:  # a signal came while this very thread was writing there
        os.write(2, text.encode(errors="backslashreplace"))


class _Report:
    """What is known at one moment. Of a call that is nested in another one, it is told there."""

    def __init__(self) -> None:
        self._names = thread_names()
        self._frames = current_frames()
        self._blocking = list(registry.blocking)
        self._waiting = (*registry.steps, *registry.syncified())
        self._now = time.monotonic()
        self._told: set[InFlight] = set()

    def lines(self) -> Iterator[str]:
        calls = sorted((*self._blocking, *self._waiting), key=_began_at)
        if not calls:
            yield "no bridge call is in flight"
            return
        nested = {inner for call in calls for inner in self._inner(call)}
        yield f"{len(calls)} bridge call{'s' * (len(calls) > 1)} in flight, the oldest first"
        for call in (*(call for call in calls if call not in nested), *calls):  # all: two may be nested in each other
            if call not in self._told:
                yield ""
                yield from self._tell(call, "")
        yield from self._limiters()

    def _tell(self, call: InFlight, indent: str, shown: int | None = None) -> Iterator[str]:
        """*shown*: the thread whose stack stands just above."""
        self._told.add(call)
        asyncified = call in self._blocking
        seen = snapshot_of(call, "asyncify" if asyncified else "syncify", self._names, self._now)
        where = f", on {seen.portal}" if seen.portal else ""
        yield f"{indent}{seen.direction} {seen.function!r}: {seen.state}{where}, for {seen.age:.1f} s"
        if seen.thread_id is not None and seen.thread_id != shown:
            yield f"{indent}  thread {seen.thread!r} {'runs it' if asyncified else 'waits for it'}, innermost line last:"
            yield from _indented(self._thread_lines(seen.thread_id), indent)
        if not asyncified:
            yield from self._coroutine(call, indent)
        for inner in self._inner(call):
            if inner not in self._told:
                yield from self._tell(inner, indent + "    ", shown=seen.thread_id if asyncified else None)

    def _coroutine(self, call: InFlight, indent: str) -> Iterator[str]:
        chain = [frame for _, frame in _chain(call) if frame is not None]
        theirs = [line_of(frame) for frame in chain if not _is_ours(frame)]
        if theirs:
            yield f"{indent}  its coroutine, innermost line last:"
            yield from _indented(theirs, indent)
        loop = getattr(getattr(call, "dispatcher", None), "ident", None)
        if loop is not None and (not chain or call.state == "queued"):
            yield f"{indent}  it does not wait for anything; the loop's thread, innermost line last:"
            yield from _indented(self._thread_lines(loop), indent)

    def _thread_lines(self, ident: int) -> list[str]:
        frames = stack_of(self._frames.get(ident))
        begins = max((at for at, frame in enumerate(frames) if _is_ours(frame) and frame.f_code.co_name in _BEGINS), default=0)
        theirs = [frame for frame in frames[begins:] if not _is_ours(frame) and not _is_of_any_thread(frame)]
        return [line_of(frame) for frame in theirs] or ["  nothing but this call"]

    def _inner(self, call: InFlight) -> list[InFlight]:
        """The calls that *call* waits for: those of its function's thread, or those that its coroutine awaits."""
        if call in self._blocking:
            return [inner for inner in self._waiting if inner.thread_id == call.thread_id is not None]
        awaited = [_inside(link, BlockingCall) for link, frame in _chain(call) if _is_ours(frame)]
        return [inner for inner in awaited if inner in self._blocking]

    def _limiters(self) -> Iterator[str]:
        limiters = {id(call.limiter): call.limiter for call in self._blocking if isinstance(call, BlockingCall)}
        if limiters:
            yield ""
        for limiter in limiters.values():
            yield _tell_limiter(limiter)


def _tell_limiter(limiter: CapacityLimiter) -> str:
    text = f"limiter at {id(limiter):#x}"
    with suppress(Exception):  # asked off its loop; whatever an AnyIO says to that
        statistics = limiter.statistics()
        text += (
            f": {statistics.borrowed_tokens} of {statistics.total_tokens} tokens borrowed, "
            f"{statistics.tasks_waiting} tasks wait for one"
        )
    return text


def _coroutine_of(call: InFlight) -> object:
    """The coroutine of a syncified call, if its task has begun."""
    task: Any = getattr(call, "task", None)
    get_coro = getattr(task, "get_coro", None)  # asyncio's tasks; AnyIO's `TaskInfo` stands for those of others
    return getattr(task, "coro", None) if get_coro is None else get_coro()


def _chain(call: InFlight) -> list[tuple[object, FrameType | None]]:
    """What the coroutine of *call* is suspended in, without what runs it, and up to the bridge call that it makes."""
    chain: list[tuple[object, FrameType | None]] = []
    for link, frame in links(_coroutine_of(call)):
        chain.append((link, frame))
        if frame is None or not _is_ours(frame):
            continue
        if frame.f_code.co_name == "_drive":
            chain.clear()
        elif _inside(link, BlockingCall) is not None:
            break
        elif (carriage := _inside(link, Carriage)) is not None and carriage is not call:
            return _chain(carriage)  # the first step of a stream or scope: what carries it has a task of its own
    return chain


def _inside(link: object, kind: type[T]) -> T | None:
    """The local variable of a suspended coroutine that is of that kind, if there is one."""
    return next((thing for thing in gc.get_referents(link) if issubclass(type(thing), kind)), None)


def _is_of_any_thread(frame: FrameType) -> bool:
    return frame.f_code.co_filename.endswith(_OF_ANY_THREAD)


def _is_ours(frame: FrameType | None) -> bool:
    return frame is not None and frame.f_code.co_filename.startswith(_OURS)


def _began_at(call: InFlight) -> float:
    return call.began_at


def _indented(lines: list[str], indent: str) -> Iterator[str]:
    for line in lines:
        yield "\n".join(f"{indent}  {part}" for part in line.splitlines())

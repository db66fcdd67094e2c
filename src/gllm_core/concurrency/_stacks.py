"""Where a coroutine is suspended, through everything that it awaits; and where a thread is."""

from __future__ import annotations

import gc
import linecache
from collections.abc import Iterator
from functools import partial
from itertools import dropwhile, repeat
from operator import not_
from types import AsyncGeneratorType, CoroutineType, FrameType
from typing import Any

from ._threads import without_collector

LONGEST_CHAIN = 200
"""How many links of a chain of coroutines are followed."""


def await_chain(awaited: object) -> list[str]:
    """Each frame that *awaited* is suspended in, outermost first, and at the end what it waits for.

    `Task.print_stack` shows the outermost frame only; this follows `cr_await`, also through async generators and
    `__await__` methods.
    """
    lines: list[str] = []
    for link, frame in links(awaited):
        lines.append(f"  waits for {_short(link)}" if frame is None else line_of(frame))
    return lines or ["  not started, or running right now"]


def links(awaited: object) -> Iterator[tuple[object, FrameType | None]]:
    """What *awaited* is suspended in, outermost first: each link with its frame; at the end, without one, the rest."""
    link: object = awaited
    for _ in range(LONGEST_CHAIN):
        if link is None:
            return
        frame, following = _look_into(link)
        if frame is not None or following is None:
            yield link, frame
        link = following


def _look_into(link: object) -> tuple[FrameType | None, object]:
    """The frame of one link of the chain, if it has one, and the next link."""
    for kind in ("cr", "gi", "ag"):
        if hasattr(type(link), f"{kind}_frame"):  # of the type: to ask the link would read it
            frame = without_collector(partial(next, _unless_running(link, kind), None))
            if frame is True:
                return None, None
            return frame, getattr(link, "gi_yieldfrom" if kind == "gi" else f"{kind}_await")
    # The wrappers of `__await__`, `asend` and futures' iterators tell nobody what they wrap, save the collector.
    if type(link).__name__ in ("coroutine_wrapper", "async_generator_asend", "async_generator_athrow", "FutureIter"):
        for referent in gc.get_referents(link):
            if type(referent) in (CoroutineType, AsyncGeneratorType) or hasattr(referent, "_asyncio_future_blocking"):
                return None, referent
    return None, None


def _unless_running(link: object, kind: str) -> Iterator[Any]:
    """Its frame, or True if another thread is running it just now, whose frames must not be touched; asked and read in one step
    in C. The interpreter may crash otherwise.

    An async generator says that it is running wherever somebody waits for its next item; whoever does so was looked at before.
    """
    names = (f"{kind}_frame",) if kind == "ag" else (f"{kind}_running", f"{kind}_frame")
    return dropwhile(not_, map(getattr, repeat(link), names))


def stack_of(frame: FrameType | None) -> list[FrameType]:
    """The frames of a thread whose innermost one is *frame*, outermost first."""
    frames: list[FrameType] = []
    while frame is not None:
        frames.append(frame)
        frame = without_collector(partial(getattr, frame, "f_back"))
    return frames[::-1]


def line_of(frame: FrameType) -> str:
    code = frame.f_code
    text = linecache.getline(code.co_filename, frame.f_lineno or 0).strip()
    return f'  File "{code.co_filename}", line {frame.f_lineno}, in {code.co_qualname}' + (f"\n    {text}" if text else "")


def _short(thing: object) -> str:
    try:
        text = repr(thing)
    except Exception as error:  # noqa: BLE001 # of one that is half made, say; it must not cost the whole report
        return f"{type(thing).__qualname__!r}, whose repr raised {type(error).__name__}"
    return text if len(text) <= 300 else f"{text[:300]}..."

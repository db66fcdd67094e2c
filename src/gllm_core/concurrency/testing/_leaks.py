"""no_leaks: what was not there before, and is still there some time afterwards, by name."""

from __future__ import annotations

import gc
import re
import time
from collections.abc import Generator, Iterable, Sequence
from typing import Any

from anyio import CapacityLimiter

from . import _census
from ._arguments import refuse_number
from ._blocks import block

PATIENCE_S = 3.0
"""How long what is about to end may take, in seconds."""

_FIRST_PAUSE_S = 0.0005
_LAST_PAUSE_S = 0.1


class LeakError(AssertionError):
    """Something outlived its owner. The message names each thread, task, descriptor, token and call; `things` has the texts."""

    def __init__(self, things: list[str], patience_s: float) -> None:
        self.things = things
        listed = "\n".join(f"  {thing}" for thing in things)
        super().__init__(f"{len(things)} leaked, still there after {patience_s:g} s:\n{listed}")


class Watch:
    """What was there when this was made; `leaks` says what has been added since."""

    def __init__(self, limiters: Iterable[CapacityLimiter] | None = None, ignore: str | None = None) -> None:
        """*limiters*, *ignore*: as for `no_leaks`."""
        self._limiters = limiters  # kept as it is: the stress engine adds to its own meanwhile
        self._ignore = None if ignore is None else re.compile(ignore)
        self._before = _census.take(self._limiters)

    def leaks(self, patience_s: float = PATIENCE_S) -> list[str]:
        """The texts of what is new and does not go away within *patience_s* seconds; empty as soon as there is nothing.

        What is seen just once is on its way: among hundreds of threads that end, there is always one that does so right now.
        """
        deadline = time.monotonic() + patience_s
        pause_s = _FIRST_PAUSE_S
        before = self._new()
        while before:
            if pause_s > _LAST_PAUSE_S / 4:
                gc.collect()  # what only garbage keeps alive is not a leak of ours to report
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LAST_PAUSE_S)
            now = self._new()
            stays = [text for key, text in now.items() if key in before]
            if not now or time.monotonic() >= deadline:
                return stays
            before = now
        return []

    def _new(self) -> dict[tuple[str, object], str]:
        now = _census.take(self._limiters)
        texts = {key: thing.text for key, thing in now.items() if key not in self._before}
        return {key: text for key, text in texts.items() if self._ignore is None or not self._ignore.search(text)}


@block
def no_leaks(
    *, patience_s: float = PATIENCE_S, ignore: str | None = None, limiters: Iterable[CapacityLimiter] | None = None
) -> Generator[None]:
    r"""Fail if the block leaves a thread, a task of the default portal, a borrowed token, a descriptor or a call behind.

    What is meant to stay is known: the default portal and the reserve portals, with their threads and descriptors, and idle
    worker threads, also those that AnyIO and asyncio keep for a loop that goes on. All else must be gone *patience_s* seconds
    after the block; it is looked for again and again until then.

    Args:
        patience_s: how long the end of what is ending already may take, in seconds.
        ignore: a regular expression; what it finds in the text of a leak is not reported. For instance
            ``r"thread 'my-pool|descriptor \d+: /dev/null"``.
        limiters: the limiters whose tokens are counted. None stands for every one in the process, found through the
            garbage collector.

    Raises:
        LeakError: something was left behind; not if the block raises itself, so that its error is not hidden.
        TypeError, ValueError: before the block, if an argument makes no sense.

    **Threads:** what other threads start meanwhile counts, too: a test that is to be checked runs alone.

    Example:
        >>> from gllm_core.concurrency import asyncify, syncify
        >>> with no_leaks():
        ...     syncify(asyncify(int))("42")
        42
    """
    refuse_number("no_leaks()", "patience_s", patience_s, "seconds", zero=True)
    watch = Watch(_counted(limiters), _pattern(ignore))
    yield
    things = watch.leaks(patience_s)
    if things:
        raise LeakError(things, patience_s)


def _counted(limiters: Any) -> Sequence[CapacityLimiter] | None:
    """*limiters*, to be looked at more than once."""
    if limiters is None:
        return None
    remedy = "pass a list of anyio.CapacityLimiter, or None for all there are"
    try:
        counted: tuple[Any, ...] = tuple(limiters)
    except TypeError:
        raise TypeError(f"no_leaks() got limiters={limiters!r}; {remedy}") from None
    for limiter in counted:
        if not isinstance(limiter, CapacityLimiter):
            raise TypeError(f"no_leaks() got {limiter!r} in limiters; {remedy}")
    return counted


def _pattern(ignore: str | None) -> str | None:
    try:
        re.compile(ignore or "")
    except (re.error, TypeError) as error:
        raise ValueError(f"no_leaks() got ignore={ignore!r}, which is no regular expression: {error}") from None
    return ignore

"""What the scenarios are made of: gates, bounded waits, and words for what was seen."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

from .model import Async, Library, Scenario

WAIT_S = 6.0
"""How long a scenario waits for what must happen, in seconds. What takes longer is called a hang."""

ABSENCE_S = 0.5
"""How long it looks for what must not happen, in seconds; too short a look is in favour of the library."""

SCENARIOS: dict[str, Scenario] = {}


def scenario(
    promise: str, says: str, *, group: str, until_exit: bool = False, facts: tuple[str, ...] = (), is_race: bool = False
) -> Callable[[Callable[[Library], None]], Callable[[Library], None]]:
    """Put the function into the table, under its name with dashes."""

    def add(play: Callable[[Library], None]) -> Callable[[Library], None]:
        name = play.__name__.replace("_", "-")
        SCENARIOS[name] = Scenario(name, promise, says, play, until_exit, facts, group, is_race)
        return play

    return add


def say(kind: str, text: str) -> None:
    """A line for the process that looks on; past every buffer, so that it counts even if nothing comes after it."""
    os.write(1, (json.dumps([kind, text]) + "\n").encode())


def fact(text: str) -> None:
    say("fact", text)


def fails(seen: str) -> NoReturn:
    """The guarantee does not hold: say what was *seen*, and end the process at once, whatever else hangs in it."""
    say("seen", seen)
    say("outcome", "fails")
    sys.stderr.flush()
    os._exit(0)


def note(text: str) -> None:
    """Said of a cell that holds: how often it was tried."""
    say("seen", text)


def shown(error: BaseException) -> str:
    text = str(error).splitlines()
    return f"{type(error).__name__}: {text[0]}" if text and text[0] else type(error).__name__


class Gate:
    """A blocking function that says that it runs, and returns, or raises, when it is let go."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.entered, self.leave, self.left = threading.Event(), threading.Event(), threading.Event()
        self.error = error

    def __call__(self) -> str:
        self.entered.set()
        try:
            self.leave.wait()
            if self.error is not None:
                raise self.error
            return "through"
        finally:
            self.left.set()


async def happened(event: threading.Event, seconds: float = WAIT_S) -> bool:
    """Whether *event* is set within *seconds*; the loop is free meanwhile."""
    end = asyncio.get_running_loop().time() + seconds
    while not event.is_set():
        if asyncio.get_running_loop().time() > end:
            return False
        await asyncio.sleep(0.002)
    return True


async def must_happen(event: threading.Event, otherwise: str) -> None:
    if not await happened(event):
        fails(otherwise)


async def within_limit(awaitable: Awaitable[Any], otherwise: str) -> Any:
    """Its value or exception; or `Fails`, if it does not end."""
    task = asyncio.ensure_future(awaitable)
    done, _ = await asyncio.wait([task], timeout=WAIT_S)
    if not done:
        fails(otherwise)
    return await task


async def call_once(function: Async) -> Any:
    """So that a task can be made of what is awaitable only."""
    return await function()


class InThread:
    """A call on a daemonic thread: its outcome, or that there is none."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.value: Any = None
        self.error: BaseException | None = None
        self._function = function
        self._thread = threading.Thread(target=self._run, name="caller", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.value = self._function()
        except BaseException as error:  # noqa: BLE001 # it is what was asked for
            self.error = error

    def ended(self, seconds: float = WAIT_S) -> bool:
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def result(self, otherwise: str) -> Any:
        if not self.ended():
            fails(otherwise)
        if self.error is not None:
            raise self.error
        return self.value


async def one() -> int:
    await asyncio.sleep(0)
    return 1


class Endless:
    """A coroutine function that never ends by itself, and says when it began, was cancelled, and had cleaned up."""

    def __init__(self) -> None:
        self.began, self.cancelled, self.cleaned = threading.Event(), threading.Event(), threading.Event()

    async def run(self) -> None:
        try:
            self.began.set()
            await asyncio.sleep(3600)
        finally:
            self.cancelled.set()
            fact("finally")
            await asyncio.sleep(0.05)
            self.cleaned.set()

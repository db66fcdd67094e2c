"""What a scenario may ask of a library, and what it may answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Sync = Callable[..., Any]
Async = Callable[..., Awaitable[Any]]
CoroutineFunction = Callable[..., Coroutine[Any, Any, Any]]

Outcome = Literal["holds", "fails", "not offered", "error"]
"""`error` is the scenario's own fault: it says nothing of the library, and fails the run."""


class NotOffered(Exception):  # an answer, not an error
    """The library has nothing of this kind; the reason is the message."""


class Call(Protocol):
    """Run a coroutine function on a loop, from synchronous code, and return its value."""

    def __call__(self, func: CoroutineFunction, /, *args: Any) -> Any: ...


class Library:
    """One way over the bridge. What a subclass leaves out, it does not offer."""

    name: str
    distribution: str | None = None
    """None stands for the standard library."""
    used: str
    """How it is used here, for the page."""

    def run(self, main: CoroutineFunction) -> Any:
        """Run a program's async main function."""
        return asyncio.run(main())

    def awaitable(self, func: Sync) -> Async:
        """*func*, to be awaited, with the default limit."""
        raise NotOffered("it does not run functions on threads")

    def limited(self, func: Sync, limit: Any) -> Async:
        """*func*, to be awaited, within *limit*."""
        raise NotOffered("it has no limits")

    def limit(self, tokens: int) -> Any:
        """A limit that several functions may share; made inside the loop."""
        raise NotOffered("it has no limits")

    def abandonable(self, func: Sync, limit: Any = None) -> Async:
        """*func*, to be awaited, in the form whose awaiter leaves when it is cancelled."""
        raise NotOffered("it does not run functions on threads")

    def passing_on(self, func: Sync) -> Async:
        """*func*, to be awaited, in the form that passes a cancellation on to what it calls by `below`."""
        return self.awaitable(func)

    def below(self, func: CoroutineFunction) -> Sync:
        """*func*, to be called by a function that `awaitable` runs; asked for inside the loop."""
        raise NotOffered("it cannot be called from a worker thread of its own")

    def opened(self) -> AbstractContextManager[Call]:
        """A loop to call into, in the form that lives as long as it can."""
        return self.closable()

    def closable(self) -> AbstractContextManager[Call]:
        """A loop to call into, which is closed at the end of the `with` block, with what runs on it cancelled."""
        raise NotOffered("it has no loop that its user opens and closes")

    shared: str | None = "it has no loop for the whole process"
    """Why there is no loop for the whole process; None where there is one."""
    trio: str | None = "asyncio only"
    """Why it does not run under trio; None where it claims to."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One guarantee."""

    name: str
    promise: str
    says: str
    play: Callable[[Library], None]
    until_exit: bool
    """Whether the interpreter's exit belongs to it: then exit status, stderr and *facts* decide."""
    facts: tuple[str, ...]
    """What the program must have said by then."""
    group: str
    is_race: bool
    """Whether it is tried again and again, for as long as the command line says."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What was seen of one guarantee with one library."""

    scenario: str
    library: str
    outcome: Outcome
    seen: str
    stderr: str = ""

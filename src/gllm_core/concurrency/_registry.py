"""Where the calls in flight are found, and what can be seen of each. No lock: asked from a signal handler, too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from weakref import WeakValueDictionary

Direction = Literal["asyncify", "syncify"]
State = Literal["waiting for a token", "queued", "running", "cancelling"]


@dataclass(frozen=True, slots=True)
class CallInFlight:
    """One bridge call that somebody waits for, as it was when `in_flight` was called."""

    function: str
    """The qualified name of the wrapped function."""
    direction: Direction
    """By which wrapper it was called. A step of a stream or scope counts as a call, until it is over."""
    state: State
    """`queued`: handed over, not begun. `cancelling`: to be cancelled, and not over yet; or abandoned, and still running."""
    age: float
    """Since when it has been in flight, in seconds."""
    thread: str | None
    """The name of the thread that runs the function (asyncify; None: it has not begun) or that waits (syncify)."""
    thread_id: int | None
    """The identifier of that thread, as `threading.get_ident` has it."""
    portal: str | None
    """The name of the thread that runs the portal's loop (syncify)."""


class InFlight(Protocol):
    """A call as the registry knows it: what it is now, without its thread's name."""

    @property
    def name(self) -> str: ...

    @property
    def began_at(self) -> float: ...

    @property
    def thread_id(self) -> int | None: ...

    @property
    def state(self) -> State: ...


class Dispatching(Protocol):
    """What has syncified calls in flight."""

    def calls_in_flight(self) -> list[Any]: ...


class _Blocking(dict[InFlight, None]):
    """Pickled by name: what serializes functions by value, as dask does, takes along what a wrapper refers to."""

    __slots__ = ()

    def __reduce__(self) -> str:
        return "registry.blocking"


class Registry:
    """The calls in flight of this process. Dicts, as adding, removing and `list` are atomic; not `tuple`: up to Python 3.11 it
    may collect garbage in between, and a finalizer may do anything.
    """

    def __init__(self) -> None:
        self.blocking = _Blocking()
        """The asyncified calls, and the steps of a stream or scope on a worker thread."""
        self.steps: dict[InFlight, None] = {}
        """The steps of a stream or scope on a portal."""
        self.dispatchers: WeakValueDictionary[int, Dispatching] = WeakValueDictionary()
        """What has the syncified calls, by its `id`."""
        self.when_used: Callable[[], object] = bool
        """Called before anything can get stuck: where a loop or a portal is used for the first time."""

    def syncified(self) -> list[InFlight]:
        live = [dispatcher for ref in self.dispatchers.valuerefs() if (dispatcher := ref()) is not None]
        return [call for dispatcher in live for call in dispatcher.calls_in_flight()]


registry = Registry()

"""asyncio under control: the real `SelectorEventLoop`, with a selector that sleeps on the scheduler.

What a loop shares with other threads is three things, and each is a scheduling point: a turn of the loop, a wake-up, the
loop's close. All else of a loop happens on its own thread.
"""

from __future__ import annotations

import asyncio
import itertools
import selectors
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from . import _world
from ._actors import Actor
from ._scheduler import Run

_FIRST_VIRTUAL_FD = 1 << 24
_fds = itertools.count(_FIRST_VIRTUAL_FD)


class UncontrolledIOError(RuntimeError):
    """A controlled loop was asked to watch something real."""


class Pipe:
    """Both ends of the pipe by which a loop is woken."""

    def __init__(self, selector: VirtualSelector) -> None:
        self._selector = selector
        self._fd = next(_fds)
        self.closed = False
        self.bytes = 0

    def fileno(self) -> int:
        return self._fd

    def send(self, data: bytes) -> int:
        if self.closed:
            raise OSError("the loop was closed")
        self.bytes += len(data)
        self._selector.notify()
        return len(data)

    def recv(self, size: int) -> bytes:
        if not self.bytes:
            raise BlockingIOError
        data, self.bytes = b"\0" * min(size, self.bytes), 0
        return data

    def close(self) -> None:
        self.closed = True


class VirtualSelector(selectors.BaseSelector):
    """Watches pipes of ours, and nothing else."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._keys: dict[Any, selectors.SelectorKey] = {}
        self._pipes: list[Pipe] = []
        self._sleeper: Actor | None = None

    def make_pipe(self) -> Pipe:
        pipe = Pipe(self)
        self._pipes.append(pipe)
        return pipe

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        if fd < _FIRST_VIRTUAL_FD:
            raise UncontrolledIOError(f"the explorer does not control files and sockets: descriptor {fd} cannot be watched")
        key = self._keys[fd] = selectors.SelectorKey(fileobj, fd, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj if isinstance(fileobj, int) else fileobj.fileno())

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        run, actor = self._run, _world.here()
        if actor is None or run.over:
            raise _world.Killed
        ready = self._ready()
        if ready or (timeout is not None and timeout <= 0):
            run.point(actor, "turn", polls=not ready)
            return self._ready()
        self._sleeper = actor
        run.block(actor, self, None if timeout is None else run.clock + timeout)
        self._sleeper = None
        return self._ready()

    def _ready(self) -> list[tuple[selectors.SelectorKey, int]]:
        readable = (self._keys[pipe.fileno()] for pipe in self._pipes if pipe.bytes and pipe.fileno() in self._keys)
        return [(key, selectors.EVENT_READ) for key in readable]

    def notify(self) -> None:
        if self._sleeper is not None:
            self._run.wake(self._sleeper)

    def describe(self) -> str:
        return "a wake-up of its event loop"

    def cancel_wait(self, actor: Actor) -> None:
        self._sleeper = None

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys


def default_selector(real: Callable[[], selectors.BaseSelector]) -> Callable[[], selectors.BaseSelector]:
    def make() -> selectors.BaseSelector:
        actor = _world.here()
        return real() if actor is None else VirtualSelector(actor.run)

    return make


def make_self_pipe(real: Callable[[Any], None]) -> Callable[[Any], None]:
    def make(loop: Any) -> None:
        selector = loop._selector
        if not isinstance(selector, VirtualSelector):
            real(loop)
            return
        actor = _world.here()
        if actor is not None:
            actor.run.loops[loop] = actor
        # Both names for one end: real loops do with them what they always do.
        loop._ssock = loop._csock = selector.make_pipe()
        loop._internal_fds += 1
        loop._add_reader(loop._ssock.fileno(), loop._read_from_self)

    return make


def call_soon_threadsafe(real: Callable[..., asyncio.Handle]) -> Callable[..., asyncio.Handle]:
    def call(loop: Any, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        actor = _world.here()
        if actor is not None and isinstance(getattr(loop, "_selector", None), (VirtualSelector, type(None))):
            actor.run.point(actor, "wake-up")
            if not loop.is_closed() and actor.run.injects(actor, "wake-up"):
                raise RuntimeError("Event loop is closed")
        return real(loop, callback, *args, context=context)

    return call


def close(real: Callable[[Any], None]) -> Callable[[Any], None]:
    def close_loop(loop: Any) -> None:
        actor = _world.here()
        if actor is not None and not actor.run.over and not loop.is_closed() and not loop.is_running():
            actor.run.point(actor, "close")
        real(loop)

    return close_loop


class _Tasks(set[Any]):
    """The tasks of a loop, the oldest first: a loop that ends cancels them in that order, on each schedule."""

    def __init__(self, tasks: Iterable[Any], run: Run) -> None:
        super().__init__(tasks)
        self._run = run

    def __iter__(self) -> Iterator[Any]:
        return iter(sorted(super().__iter__(), key=lambda task: self._run.tasks.get(task, 0)))


def create_task(real: Callable[..., Any]) -> Callable[..., Any]:
    def create(loop: Any, *args: Any, **kwargs: Any) -> Any:
        task, actor = real(loop, *args, **kwargs), _world.here()
        if actor is not None:
            actor.run.created += 1
            actor.run.tasks[task] = actor.run.created
        return task

    return create


def all_tasks(real: Callable[..., set[Any]]) -> Callable[..., set[Any]]:
    def tasks(loop: Any = None) -> set[Any]:
        actor = _world.here()
        return real(loop) if actor is None else _Tasks(real(loop), actor.run)

    return tasks

"""Virtual thread start: real threads that begin when the scheduler says so, and are over when it knows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from . import _world
from ._actors import Actor, State
from ._lines import Lines
from ._locks import Sentinel
from ._real import OsThread, get_ident
from ._report import Finding, Kind
from ._scheduler import Run
from ._where import is_machinery, short


class Started:
    """Stands in for `Thread._started`: who starts a thread goes on once it has announced itself, with no choice between.

    That hand-shake is the interpreter's business; explored, it would multiply every schedule and show nothing.
    """

    def __init__(self, starter: Actor | None, child: Actor) -> None:
        self._starter = starter
        self._child = child
        self._set = False

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True
        starter, self._starter = self._starter, None
        if starter is not None and not self._child.run.over:
            self._child.run.hand_baton(self._child, starter)

    def wait(self, timeout: float | None = None) -> bool:
        return self._set

    def _at_fork_reinit(self) -> None:
        self._set = False


def launch(run: Run, function: Callable[[], object], name: str, daemon: bool, lines: Lines) -> Actor:
    """Make a controlled thread, which waits for the baton."""
    actor = Actor(run, len(run.actors), name, daemon)
    run.actors.append(actor)

    def body() -> None:
        actor.ident = get_ident()
        actor.gate.acquire()
        _world.actors[actor.ident] = actor
        try:
            if not run.over:
                lines.enter()
                function()
        except (_world.Killed, SystemExit):
            pass
        except BaseException as error:  # noqa: BLE001 # of a thread that was started without `threading`
            report_exception(run, actor, error)
        finally:
            lines.leave()
        with suppress(_world.Killed):
            run.done(actor)
        actor.exited.release()
        actor.retired.acquire()

    actor.os_thread = OsThread(body)
    return actor


def report_exception(run: Run, actor: Actor, error: BaseException) -> None:
    """*error* ended *actor*: that is a finding."""
    kind = Kind.ASSERTION if isinstance(error, AssertionError) else Kind.EXCEPTION
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    run.fail(Finding(kind, f"{text}\n  in thread {actor.name!r}, {_origin(error)}", error))


def _origin(error: BaseException) -> str:
    traceback, place = error.__traceback__, "nowhere"
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if not is_machinery(code):
            place = f"{short(code.co_filename)}:{traceback.tb_lineno} in {code.co_qualname}"
        traceback = traceback.tb_next
    return place


def start(
    actor: Actor,
    lines: Lines,
    function: Callable[..., object],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    handle: Handle | None = None,
) -> Actor:
    """Start a thread from *actor*; afterwards, either of them goes on."""
    run = actor.run
    if run.over:
        run.ended(actor)
    if run.injects(actor, "start"):
        raise RuntimeError("can't start new thread")
    owner = getattr(function, "__self__", None)
    thread = owner if isinstance(owner, threading.Thread) else None
    name = getattr(function, "__qualname__", "thread") if thread is None else thread.name
    child = launch(run, lambda: function(*args, **kwargs), name, thread is None or thread.daemon, lines)
    if handle is not None:
        handle.bind(child)
    if thread is not None:
        setattr(thread, "_started", Started(actor, child))  # noqa: B010 # private, so no checker knows it
        run.hand_baton(actor, child)
    run.point(actor, "start")
    return child


def run_as_thread(run: Run, function: Callable[[], object]) -> None:
    """Run *function* on this controlled thread as a `threading.Thread` does."""
    thread: Any = threading.Thread(target=function, name="scenario", daemon=False)
    actor = run.actors[0]
    thread._started = Started(None, actor)
    limbo: dict[Any, Any] = getattr(threading, "_limbo")  # noqa: B009 # private, so no checker knows it
    limbo[thread] = thread
    handle = getattr(thread, "_handle", None)
    if isinstance(handle, Handle):
        handle.bind(actor)
    thread._bootstrap()


def stable_hash(thread: threading.Thread) -> int:
    """The same in each run, for sets of threads are iterated: executors join theirs in that order."""
    number: int | None = thread.__dict__.get("_explorer_hash")
    if number is None:
        actor = _world.here()
        if actor is None:
            return object.__hash__(thread)
        actor.run.hashes += 1
        number = thread.__dict__["_explorer_hash"] = actor.run.hashes
    return number


def set_sentinel(actor: Actor) -> Sentinel:
    """`_thread._set_sentinel`, by which Python 3.11 and 3.12 see the end of a thread."""
    sentinel = Sentinel(actor.run, actor)
    actor.on_done = sentinel.thread_is_over
    return sentinel


class Handle:
    """`_thread._ThreadHandle`, by which Python 3.13 sees the end of a thread."""

    def __init__(self) -> None:
        self._actor: Actor | None = None
        self._done = False

    def bind(self, actor: Actor) -> None:
        self._actor = actor
        actor.on_done = self._set_done

    @property
    def ident(self) -> int:
        return 0 if self._actor is None else self._actor.ident

    def is_done(self) -> bool:
        return self._done

    def _set_done(self) -> None:
        self._done = True

    def join(self, timeout: float | None = None) -> None:
        joined, joiner = self._actor, _world.here()
        if self._done or joined is None or joiner is None or joiner.run is not joined.run:
            return
        if joined is joiner:
            raise RuntimeError("Cannot join current thread")
        if timeout is not None and timeout <= 0:
            return
        deadline = None if timeout is None else joiner.run.clock + timeout
        while joined.state is not State.DONE:
            joined.joiners.append(joiner)
            if not joiner.run.block(joiner, joined, deadline):
                return

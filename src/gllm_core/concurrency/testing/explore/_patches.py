"""Where the virtual primitives go, for as long as an exploration lasts.

Each of them asks whether its caller is a controlled thread, and is the real thing for all others.
"""

from __future__ import annotations

import _thread
import asyncio
import atexit
import itertools
import os
import queue
import selectors
import sys
import threading
import time
import weakref
from asyncio import base_events, selector_events, tasks
from collections.abc import Callable
from concurrent.futures import thread as executor_module
from typing import Any

from . import _clock, _locks, _loop, _threads, _world
from ._actors import State
from ._child import getpid as child_pid
from ._child import register_at_fork
from ._lines import Lines
from ._real import current_frames, get_ident
from ._scheduler import Run

_MISSING: Any = object()


def _attributes(owner: Any) -> dict[str, Any]:
    attributes: dict[str, Any] = owner.__dict__
    return attributes


class Patches:
    """A list of attributes that are set, and set back."""

    def __init__(self) -> None:
        self._undo: list[tuple[Any, str, Any]] = []

    def put(self, owner: Any, name: str, value: Any) -> None:
        """Set what is there; a name that this Python does not have is not missed."""
        before: Any = _attributes(owner).get(name, _MISSING)
        if before is not _MISSING:
            self._undo.append((owner, name, before))
            setattr(owner, name, value)

    def add(self, owner: Any, name: str, value: Any) -> None:
        """Set what was only inherited so far."""
        assert name not in _attributes(owner)
        self._undo.append((owner, name, _MISSING))
        setattr(owner, name, value)

    def wrap(self, owner: Any, name: str, wrapper: Callable[[Any], Any]) -> None:
        before: Any = _attributes(owner).get(name, _MISSING)
        if before is not _MISSING:
            self.put(owner, name, wrapper(before))

    def undo(self) -> None:
        while self._undo:
            owner, name, before = self._undo.pop()
            if before is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, before)


def _unless_controlled(real: Any) -> Any:
    """What controlled threads register for the end of the process would outlive their schedule."""

    def register(*args: Any, **kwargs: Any) -> Any:
        if _world.here() is None:
            return real(*args, **kwargs)
        return args[0] if args else None

    return register


def _frames() -> dict[int, Any]:
    """`sys._current_frames`, without the threads that are over as far as a run can tell."""
    frames = current_frames()
    if _world.here() is not None:
        for actor in _world.actors.values():
            if actor.state is State.DONE:
                frames.pop(actor.ident, None)
    return frames


def _start_new_thread(lines: Lines) -> Callable[[Any], Any]:
    def wrapper(real: Any) -> Any:
        def start(function: Any, args: tuple[Any, ...], kwargs: Any = None, /) -> int:
            actor = _world.here()
            if actor is None:
                return int(real(function, args, kwargs or {}))
            return _threads.start(actor, lines, function, args, kwargs or {}).ident

        return start

    return wrapper


def _start_joinable_thread(lines: Lines) -> Callable[[Any], Any]:
    def wrapper(real: Any) -> Any:
        def start(function: Any, handle: Any = None, daemon: bool = True) -> Any:
            actor = _world.here()
            if actor is None:
                return real(function, handle=handle, daemon=daemon)
            if not isinstance(handle, _threads.Handle):
                handle = _threads.Handle()
            _threads.start(actor, lines, function, (), {}, handle)
            return handle

        return start

    return wrapper


def _when_controlled(virtual: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The real one for all threads that are not controlled."""

    def wrapper(real: Any) -> Any:
        def make(*args: Any) -> Any:
            actor = _world.here()
            return real(*args) if actor is None else virtual(actor)

        return make

    return wrapper


def _excepthook(real: Any) -> Any:
    def hook(args: Any) -> None:
        actor = _world.here()
        if actor is None:
            real(args)
        elif not isinstance(args.exc_value, (_world.Killed, SystemExit)):
            _threads.report_exception(actor.run, actor, args.exc_value)

    return hook


def install(lines: Lines) -> Patches:
    """Make the primitives virtual for controlled threads."""
    patches = Patches()
    c_rlock = _thread.RLock
    python_rlock = vars(threading)["_PyRLock"]
    start = _start_new_thread(lines)
    joinable = _start_joinable_thread(lines)
    for owner, name in ((_thread, "allocate_lock"), (_thread, "allocate"), (threading, "Lock"), (threading, "_allocate_lock")):
        patches.put(owner, name, _locks.allocate_lock)
    patches.put(_thread, "RLock", _locks.virtual_rlock(c_rlock, python_rlock))
    patches.put(threading, "_CRLock", _locks.virtual_rlock(c_rlock, python_rlock))
    for owner, name in ((_thread, "start_new_thread"), (_thread, "start_new"), (threading, "_start_new_thread")):
        patches.wrap(owner, name, start)
    patches.wrap(_thread, "start_joinable_thread", joinable)
    patches.wrap(threading, "_start_joinable_thread", joinable)
    for owner in (_thread, threading):
        patches.wrap(owner, "_set_sentinel", _when_controlled(_threads.set_sentinel))
        patches.wrap(owner, "_ThreadHandle", _when_controlled(lambda actor: _threads.Handle()))
    patches.put(threading, "_trace_hook", lines.trace_hook())
    patches.wrap(threading, "excepthook", _excepthook)
    patches.add(threading.Thread, "__hash__", _threads.stable_hash)
    patches.put(sys, "_current_frames", _frames)
    patches.put(queue, "SimpleQueue", vars(queue)["_PySimpleQueue"])
    _install_time(patches)
    patches.wrap(selectors, "DefaultSelector", _loop.default_selector)
    patches.wrap(selector_events.BaseSelectorEventLoop, "_make_self_pipe", _loop.make_self_pipe)
    patches.wrap(selector_events.BaseSelectorEventLoop, "close", _loop.close)
    patches.wrap(base_events.BaseEventLoop, "call_soon_threadsafe", _loop.call_soon_threadsafe)
    patches.wrap(base_events.BaseEventLoop, "create_task", _loop.create_task)
    for owner in (asyncio, tasks):
        patches.wrap(owner, "all_tasks", _loop.all_tasks)
    patches.wrap(atexit, "register", _unless_controlled)
    patches.wrap(threading, "_register_atexit", _unless_controlled)
    patches.wrap(os, "register_at_fork", register_at_fork)
    patches.wrap(os, "getpid", child_pid)
    return patches


def _install_time(patches: Patches) -> None:
    origin = time.time() - 1_000.0
    patches.put(threading, "_time", _clock.clock(time.monotonic))
    patches.put(queue, "time", _clock.clock(time.monotonic))
    for name in ("monotonic", "perf_counter"):
        patches.wrap(time, name, _clock.clock)
        patches.wrap(time, f"{name}_ns", _clock.clock_ns)
    patches.wrap(time, "time", lambda real: _clock.clock(real, origin))
    patches.wrap(time, "time_ns", lambda real: _clock.clock_ns(real, origin))
    patches.wrap(time, "sleep", _clock.sleep)


def prepare(run: Run) -> Patches:
    """What the standard library keeps in its modules, new for one run."""
    patches = Patches()
    patches.put(executor_module, "_global_shutdown_lock", _locks.VirtualLock(run))
    patches.put(threading, "excepthook", threading.excepthook)  # a run may set its own, on top of ours
    patches.put(threading, "_counter", itertools.count(1).__next__)
    patches.put(executor_module, "_threads_queues", weakref.WeakKeyDictionary())
    return patches


def purge(run: Run) -> None:
    """After a run: `threading` forgets its threads, whose identifiers others will get."""
    idents = {actor.ident for actor in run.actors}
    assert get_ident() not in idents
    active: dict[int, Any] = vars(threading)["_active"]
    for ident in idents:
        active.pop(ident, None)
    limbo: dict[Any, Any] = vars(threading)["_limbo"]
    for thread in [thread for thread in limbo if isinstance(getattr(thread, "_started", None), _threads.Started)]:
        del limbo[thread]
    locks: set[Any] = vars(threading).get("_shutdown_locks", set())
    locks.difference_update([lock for lock in locks if isinstance(lock, _locks.VirtualLock)])

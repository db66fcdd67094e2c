"""The virtual low-level lock: all that `threading`, `queue`, futures and executors are built upon."""

from __future__ import annotations

import sys
from types import FrameType
from typing import TYPE_CHECKING, Any, cast

from . import _world
from ._real import allocate_lock as real_allocate_lock
from ._real import get_ident
from ._where import creator

if TYPE_CHECKING:
    from ._actors import Actor
    from ._scheduler import Run


class VirtualLock:
    """A `_thread.lock` whose waiting is the scheduler's.

    Only the thread that holds the baton touches it, so it needs no protection. A thread that takes a free lock can be
    preempted just before, one that meets a taken lock just waits: whoever could have come before runs now anyway.
    """

    __slots__ = ("__weakref__", "_born", "_locked", "_run", "_taken_at", "holder", "made_at", "quiet", "waiters")

    def __init__(self, run: Run, *, quiet: bool = False) -> None:
        self._run = run
        self._locked = False
        self._born = run.steps
        self._taken_at = -1
        self.holder: Actor | None = None
        self.waiters: list[Actor] = []
        self.quiet = quiet
        """No scheduling point of its own: what it protects is of no interest."""
        self.made_at = creator()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if not blocking and timeout != -1:
            raise ValueError("can't specify a timeout for a non-blocking call")
        if timeout < 0 and timeout != -1:
            raise ValueError("timeout value must be a non-negative number")
        run, actor = self._run, _world.here()
        if actor is None:
            return self._acquire_from_outside(blocking)
        if actor.run is not run:
            run = self._adopt(actor.run)
        if run.over:
            run.ended(actor)
        # Nobody else has run since it was made: nobody else can know it yet.
        if not self.quiet and run.steps != self._born and (not self._locked or not blocking):
            run.point(actor, "acquire")
        if self._locked:
            if not blocking or timeout == 0:
                return False
            deadline = None if timeout == -1 else run.clock + timeout
            while self._locked:
                self.waiters.append(actor)
                if not run.block(actor, self, deadline):
                    return False
        self._locked = True
        self.holder = actor
        self._taken_at = run.chances
        return True

    def release(self) -> None:
        run, actor = self._run, _world.here()
        if actor is not None and actor.run is not run:
            run = self._adopt(actor.run)
        # Other threads can see the lock taken if anybody could run since it was; else here.
        unseen = self.holder is not actor or self._taken_at == run.chances
        if actor is not None and unseen and not run.over and not self.quiet and run.steps != self._born:
            run.point(actor, "release")
        if not self._locked:
            raise RuntimeError("release unlocked lock")
        self._locked = False
        self.holder = None
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            run.wake(waiter)

    def locked(self) -> bool:
        return self._locked

    def _is_owned(self) -> bool:
        """What `Condition` asks; its own way would try to take the lock, which is a scheduling point."""
        return self._locked

    def _at_fork_reinit(self) -> None:
        self._locked = False
        self.holder = None

    __enter__ = acquire

    def __exit__(self, *exc_info: object) -> None:
        self.release()

    acquire_lock = acquire
    release_lock = release
    locked_lock = locked

    def __repr__(self) -> str:
        return f"<{'locked' if self._locked else 'unlocked'} virtual lock made at {self.describe()}>"

    def describe(self) -> str:
        filename, line, function = self.made_at
        return f"{filename}:{line} in {function}"

    def cancel_wait(self, actor: Actor) -> None:
        """*actor*'s wait is over without the lock."""
        if actor in self.waiters:
            self.waiters.remove(actor)

    def _adopt(self, run: Run) -> Run:
        """An object that outlived its schedule brings its lock into the next one."""
        if self._locked:
            run.fail_stale(self)
        self._run, self._born = run, -1
        return run

    def _acquire_from_outside(self, blocking: bool) -> bool:
        """A thread that is not of this run: a destructor after its end, as a rule. Never blocks."""
        if get_ident() in _world.abandoned:
            raise _world.Killed
        if self._locked and not self._run.over:
            if not blocking:
                return False
            raise RuntimeError(f"a thread that is not part of the exploration waits for {self!r}")
        self._locked = True
        return True


class Sentinel(VirtualLock):
    """What a `Thread` of Python 3.11 and 3.12 waits for to be joined: it is released when the thread is over."""

    __slots__ = ("_of",)

    def __init__(self, run: Run, of: Actor) -> None:
        super().__init__(run, quiet=True)
        self._of = of

    def describe(self) -> str:
        return self._of.describe()

    def thread_is_over(self) -> None:
        if self._locked:
            self.release()


def allocate_lock() -> VirtualLock:
    """`_thread.allocate_lock` under control."""
    actor = _world.here()
    if actor is None:
        if get_ident() in _world.abandoned:
            raise _world.Killed
        return cast(VirtualLock, real_allocate_lock())
    return VirtualLock(actor.run, quiet=_imports(sys._getframe(1)))  # pyright: ignore[reportPrivateUsage] # documented


def virtual_rlock(real: Any, python: Any) -> Any:
    """`_thread.RLock` under control: the standard library's own Python twin."""

    def make() -> Any:
        if _world.here() is None:
            return real()
        lock = python()
        lock._block.quiet = _imports(sys._getframe(1))  # pyright: ignore[reportPrivateUsage] # documented
        return lock

    return make


def _imports(maker: FrameType) -> bool:
    """Imports are no part of the model: their locks matter only when two threads meet there."""
    return maker.f_code.co_filename.startswith("<frozen importlib")

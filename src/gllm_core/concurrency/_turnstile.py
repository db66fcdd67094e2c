"""The way into a limiter that was passed explicitly, which loops in several threads may share. AnyIO's is made for one."""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Set
from contextlib import suppress
from functools import partial
from itertools import islice, takewhile
from typing import TYPE_CHECKING, NoReturn

import anyio
from anyio import CapacityLimiter
from anyio.lowlevel import checkpoint_if_cancelled

from ._anyio_internals import is_of_other_backend, would_block
from ._delivery import Home
from ._inflight import Job, current

if TYPE_CHECKING:
    from asyncio import TimerHandle

HEALTH_CHECK_S = 1.0
"""How often one who waits behind another loop's waiters looks whether that loop is still there, in seconds. And how often one
who cannot wait in the limiter, which is of another backend, tries without having been told.
"""


def take_free_token(limiter: CapacityLimiter, borrower: object) -> bool:
    """Take a token if one is free."""
    try:
        limiter.acquire_on_behalf_of_nowait(borrower)
    except Exception as error:
        if would_block(error):
            return False
        raise
    return True


class _Place:
    """One waiter's place in the queue."""

    __slots__ = ("borrower", "freed", "home", "turn")

    def __init__(self, borrower: Job, home: Home) -> None:
        self.borrower = borrower
        self.home = home
        self.turn: anyio.Event | None = None
        """Set once it may wait in the limiter; None from the start where it may at once."""
        self.freed: anyio.Event | None = None
        """Set when a token may be free, where the limiter is of another backend: then it waits here, not there."""


class Turnstile:
    """Tokens of one limiter, for any loop in any thread.

    AnyIO's limiter may be touched by one thread at a time, and it hands a freed token to a waiting task through that task's
    loop. So, while nobody waits, `_lock` guards it; once somebody waits, it belongs to the loop of the first in `_queue`.
    Those of that loop who come next to each other wait in the limiter itself, the others for their turn; and releases are sent
    to that loop. Tokens that other users of the limiter free, who know nothing of us, reach the first in the queue, too.

    And it is of the backend where it was used first. Those of the other one cannot wait in it: they wait here, and try again.
    """

    def __init__(self, limiter: CapacityLimiter) -> None:
        self.limiter = limiter
        self._reset()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a wrapper with a limiter cannot be pickled: limiters are of one process; wrap the function where it runs"
        )

    def _reset(self) -> None:
        self._lock = threading.RLock()
        self._queue: deque[_Place] = deque()
        self._gone: set[object] = set()
        """Borrowers that waited in the limiter when their loop was closed over them."""

    def try_acquire(self, borrower: Job) -> bool:
        with self._lock:
            if self._queue:
                self._drop_closed()
            if self._queue:
                return False
            return take_free_token(self.limiter, borrower)

    async def acquire(self, borrower: Job, home: Home) -> None:
        """Wait for a token. **Cancellation:** ends the wait at once, without a token."""
        place = _Place(borrower, home)
        turn: anyio.Event | None = None  # of our own: another thread takes the place's away when it has come
        try:
            with self._lock:
                last = self._queue[-1] if self._queue else None
                if last is not None and (last.turn is not None or last.home.loop is not home.loop):
                    turn = place.turn = anyio.Event()
                self._queue.append(place)
            if turn is not None:
                call_later: Callable[..., object] | None = getattr(home.loop, "call_later", None)  # trio has none
                if call_later is not None:
                    call_later(HEALTH_CHECK_S, self._look, place, call_later)
                await turn.wait()
            if is_of_other_backend(self.limiter):
                await self._acquire_from_other_backend(place)
            else:
                await self.limiter.acquire_on_behalf_of(borrower)
            self._leave(place)
        except BaseException:
            self._leave(place)
            raise

    def _look(self, place: _Place, call_later: Callable[..., object]) -> None:
        """Now and then, while *place* waits for its turn: those in front may be of a loop that was closed, which says nothing.

        A timer, not a scope's: AnyIO keeps a task that is in a scope for ever, also where its loop is closed over it.
        """
        with self._lock:
            if place.turn is not None:
                self._drop_closed()
            if place.turn is not None:
                call_later(HEALTH_CHECK_S, self._look, place, call_later)

    def release(self, borrower: Job, loop: object) -> None:
        """Give the token back, on the thread of *loop*; or on any thread, where *loop* is None."""
        with self._lock:
            while self._queue and self._queue[0].home.loop is not loop:
                home = self._queue[0].home
                if home.send(partial(self._arrive, borrower, home.loop)):
                    return
                self._gone.add(self._queue.popleft().borrower)
                self._call_next()
            self._release_here(borrower)

    def _arrive(self, borrower: Job, loop: object, on_loop: bool) -> None:
        if borrower in self.limiter.statistics().borrowers:  # it may be called again
            self.release(borrower, loop if on_loop else None)

    def _release_here(self, borrower: object) -> None:
        if not self._gone:
            self.limiter.release_on_behalf_of(borrower)
        else:
            self._release_with_gone({borrower})
        self._tell_first()

    def _release_with_gone(self, free: Set[object]) -> None:
        """A token that is released goes to the next one who waits in the limiter, which may be one that is gone, too."""
        while True:
            for each in free:
                with suppress(RuntimeError):  # the limiter tells a loop that is closed; or its task is dropped, and has let go
                    self.limiter.release_on_behalf_of(each)
            free = self._gone.intersection(self.limiter.statistics().borrowers)
            if not free:
                return
            self._gone -= free

    def _drop_closed(self) -> None:
        """Those who come first, where their loop is closed: they may have been given tokens just before."""
        before = len(self._queue)
        while self._queue and self._queue[0].home.is_closed():
            self._forget(self._queue[0])
        if len(self._queue) < before:
            self._release_with_gone(set())
            self._call_next()

    def _forget(self, place: _Place) -> None:
        """Its loop is closed. It may wait in the limiter, and may have been given a token there."""
        self._queue.remove(place)
        if place.turn is None:
            self._gone.add(place.borrower)

    def _leave(self, place: _Place) -> None:
        with self._lock:
            place.turn = None
            self._gone.discard(place.borrower)
            with suppress(ValueError):
                self._queue.remove(place)
            self._call_next()

    def _call_next(self) -> None:
        """If the first in the queue is still waiting for its turn, it has come: for it, and for those of its loop behind it."""
        while self._queue and (first := self._queue[0]).turn is not None:
            group = [first, *takewhile(lambda place: place.home.loop is first.home.loop, islice(self._queue, 1, None))]
            try:
                for place in group:
                    assert place.turn is not None  # behind one of its loop that waits for its turn, all of them do
                    first.home.schedule(place.turn.set)
                    place.turn = None
            except RuntimeError:  # the loop is closed; those who were told in time may wait in the limiter
                for place in group:
                    self._forget(place)
                self._release_with_gone(set())
        self._tell_first()

    async def _acquire_from_other_backend(self, place: _Place) -> None:
        """Wait here for what the limiter cannot make this task wait for, and take it when it is free."""
        while True:
            await checkpoint_if_cancelled()
            with self._lock:
                if take_free_token(self.limiter, place.borrower):
                    return
                freed = place.freed = anyio.Event()
            # Now and then without being told: other users of the limiter, who know nothing of us, free tokens, too.
            call_later: Callable[..., TimerHandle] | None = getattr(place.home.loop, "call_later", None)
            if call_later is None:
                with anyio.move_on_after(HEALTH_CHECK_S):
                    await freed.wait()
            else:
                timer = call_later(HEALTH_CHECK_S, freed.set)  # not a scope's, as above
                try:
                    await freed.wait()
                finally:
                    timer.cancel()

    def _tell_first(self) -> None:
        """If the first in the queue waits here, not in the limiter, a token may be free for it."""
        if self._queue and (freed := self._queue[0].freed) is not None:
            with suppress(RuntimeError):  # its loop is closed, which those behind it will see
                self._queue[0].home.schedule(freed.set)

    def after_fork_in_child(self) -> None:
        """The functions that ran on other threads stayed with the parent, and so did their tokens."""
        self._reset()
        # Again and again: a token that is released goes to the next one who waits, which may be a task of the parent's, too.
        while borrowers := self._borrowers_of_parent():
            for borrower in borrowers:
                with suppress(RuntimeError):  # a loop of the parent's was told
                    self.limiter.release_on_behalf_of(borrower)

    def _borrowers_of_parent(self) -> list[Job]:
        borrowers = self.limiter.statistics().borrowers
        return [borrower for borrower in borrowers if isinstance(borrower, Job) and borrower is not current.job]


_lock = threading.RLock()
_turnstiles: weakref.WeakValueDictionary[int, Turnstile] = weakref.WeakValueDictionary()
"""Guarded by `_lock`. By the identity of the limiter, which its turnstile keeps alive."""


def turnstile_of(limiter: CapacityLimiter) -> Turnstile:
    """The one turnstile of *limiter*, whoever shares it."""
    with _lock:
        return _turnstiles.setdefault(id(limiter), Turnstile(limiter))


def _forget_parent() -> None:
    global _lock
    _lock = threading.RLock()
    for turnstile in list(_turnstiles.values()):
        turnstile.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)

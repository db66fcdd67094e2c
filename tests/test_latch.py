"""The latch that a portal's users wait for: no signal handler or finalizer finds it locked by its own thread."""

from __future__ import annotations

import threading

import pytest

from gllm_core.concurrency._latch import Latch
from handshakes import WAIT_S


def test_all_who_wait_go_on_and_nobody_waits_afterwards() -> None:
    """Setting it once more changes nothing. proves: P1"""
    latch, told = Latch(), list[bool]()
    assert not latch.wait(0.001)
    assert not latch.is_set()
    threads = [threading.Thread(target=lambda: told.append(latch.wait(WAIT_S))) for _ in range(5)]
    for thread in threads:
        thread.start()
    latch.set()
    latch.set()
    for thread in threads:
        thread.join(WAIT_S)
    assert told == [True] * 5
    assert latch.wait(0)
    assert latch.is_set()


class Disturbed:
    """A lock in whose operations a signal handler comes, which does the same with the latch."""

    def __init__(self, latch: Latch) -> None:
        self._lock, self._latch, self.handled = latch._closed, latch, list[object]()

    def acquire(self, *, timeout: float) -> bool:
        if not self.handled:
            self.handled.append("wait")
            self.handled.append(self._latch.wait(0.001))
        return self._lock.acquire(timeout=timeout)

    def release(self) -> None:
        if not self.handled:
            self.handled.append("set")
            self._latch.set()
        self._lock.release()


@pytest.mark.parametrize(("act", "handled"), [("wait", ["wait", False]), ("set", ["set"])])
def test_a_handler_on_the_thread_that_waits_or_sets_does_the_same(act: str, handled: list[object]) -> None:
    """Neither hangs, and the latch is as it should be afterwards. proves: P2, S4"""
    latch = Latch()
    lock = Disturbed(latch)
    latch._closed = lock  # type: ignore[assignment] # stands in for it
    if act == "wait":
        assert not latch.wait(0.001)
    latch.set()
    assert lock.handled == handled
    assert latch.wait(0)


class SetMeanwhile:
    """A lock that is locked when it is asked for, as the latch is set only then."""

    def __init__(self, latch: Latch) -> None:
        self._lock, self._latch = latch._closed, latch
        self.release, self.locked = self._lock.release, self._lock.locked

    def acquire(self, *, timeout: float) -> bool:
        self._latch.set()
        return self._lock.acquire(timeout=timeout)


class LetsOthersIn:
    """A lock that says what those who are let through see."""

    def __init__(self, latch: Latch) -> None:
        self._lock, self._latch, self.seen = latch._closed, latch, list[bool]()

    def release(self) -> None:
        self.seen.append(self._latch.is_set())
        self._lock.release()


def test_who_is_let_through_sees_that_it_is_set() -> None:
    """It is set before anybody is woken, who would take it for a time-out otherwise. proves: P1"""
    latch = Latch()
    lock = LetsOthersIn(latch)
    latch._closed = lock  # type: ignore[assignment] # stands in for it
    latch.set()
    assert lock.seen == [True]


def test_one_who_was_told_lets_the_next_one_through() -> None:
    """Of several who wait, nobody sleeps until the time-out because another one was told first. proves: P1"""
    latch = Latch()
    lock = SetMeanwhile(latch)
    latch._closed = lock  # type: ignore[assignment] # stands in for it
    assert latch.wait(WAIT_S)
    assert not lock.locked()


def test_one_who_is_interrupted_as_it_was_told_keeps_nobody_waiting() -> None:
    """Who comes later sees that it is set, at the latest after the time-out. proves: P2"""
    latch = Latch()
    latch.set()
    assert latch._closed.acquire(timeout=0)  # and never released, as Ctrl-C came
    assert latch.wait(WAIT_S)

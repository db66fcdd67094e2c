"""A fork as a child sees it: memory as it was, one thread, locks that nobody will release."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time

import pytest

from explore.one_line import step
from gllm_core.concurrency.testing.explore import Kind, become_child, search

LINES = ["explore.one_line"]


def test_a_lock_that_another_thread_held_is_held_for_ever() -> None:
    """A child that takes a lock of the parent's waits for ever on just those schedules on which it was held."""

    def scenario() -> None:
        lock = threading.Lock()

        def hold() -> None:
            with lock:
                step()

        threading.Thread(target=hold, daemon=True).start()
        become_child()
        with lock:
            pass

    assert search(scenario, modules=LINES, preemptions=1).exhausted
    finding = search(scenario, modules=LINES, preemptions=2).finding
    assert finding is not None
    assert finding.kind is Kind.DEADLOCK
    assert "held by 'Thread-1 (hold)'" in finding.message


def test_handlers_make_it_work() -> None:
    """A lock that is renewed in the child, or taken before the fork, is free there."""

    def scenario(renewed: bool) -> None:
        lock = [threading.Lock()]

        def renew() -> None:
            lock[0] = threading.Lock()

        def hold() -> None:
            with lock[0]:
                step()

        if renewed:
            os.register_at_fork(after_in_child=renew)
        else:
            os.register_at_fork(before=lock[0].acquire, after_in_child=lock[0].release)
        threading.Thread(target=hold, daemon=True).start()
        become_child()
        with lock[0]:
            pass

    assert search(lambda: scenario(renewed=True), modules=LINES).exhausted
    assert search(lambda: scenario(renewed=False), modules=LINES).exhausted


def test_order_of_handlers() -> None:
    """The last one registered comes first before the fork, and last after it; and only those of this schedule come."""

    def scenario() -> None:
        order: list[str] = []
        for name in "ab":
            os.register_at_fork(
                before=lambda name=name: order.append(f"before {name}"),
                after_in_child=lambda name=name: order.append(f"child {name}"),
                after_in_parent=lambda: order.append("parent"),
            )
        threading.Thread(target=step).start()
        become_child()
        assert order == ["before b", "before a", "child a", "child b"]

    assert search(scenario, modules=LINES).exhausted


def test_a_child_is_alone() -> None:
    """The other threads are over, wherever they were, and never do anything again; the process has another number."""

    def scenario() -> None:
        before, done = os.getpid(), threading.Event()
        began: list[int] = []

        def work() -> None:
            began.append(1)
            step()
            done.wait(1)
            began.append(2)

        thread = threading.Thread(target=work)
        thread.start()
        become_child()
        seen = list(began)
        assert not thread.is_alive()
        assert thread not in threading.enumerate()
        assert threading.current_thread() in threading.enumerate()
        assert thread.ident not in sys._current_frames()
        assert os.getpid() != before
        thread.join()
        time.sleep(10)
        assert began == seen
        again = threading.Thread(target=step)
        again.start()
        again.join()

    assert search(scenario, modules=LINES).exhausted


def test_a_loop_of_the_parent_is_no_leak() -> None:
    """An event loop that another thread had open stays open; one of the child's own must be closed."""

    def scenario(own: bool) -> None:
        threading.Thread(target=lambda: asyncio.run(asyncio.sleep(10)), daemon=True).start()
        become_child()
        if own:
            asyncio.new_event_loop()

    assert search(lambda: scenario(own=False), preemptions=1).exhausted
    finding = search(lambda: scenario(own=True), preemptions=0).finding
    assert finding is not None
    assert finding.kind is Kind.LEAK


def test_outside_of_an_exploration() -> None:
    """There is no fork to pretend."""
    with pytest.raises(RuntimeError, match=r"use os\.fork\(\)"):
        become_child()

"""A state machine: the default portal, whatever happens to it, against a model of what its users may see."""

from __future__ import annotations

import os
import select
import signal
import threading
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio.lowlevel
import pytest
from anyio.from_thread import BlockingPortal
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gllm_core.concurrency import ReentrantCallWarning, get_default_portal, syncify
from handshakes import WAIT_S

PORTAL_THREAD = "gllm-default-portal"


async def ident() -> int:
    await anyio.lowlevel.checkpoint()
    return threading.get_ident()


async def fails(error: BaseException) -> None:
    await anyio.lowlevel.checkpoint()
    raise error


def live_portal_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == PORTAL_THREAD]


def in_forked_child(check: Callable[[], bool]) -> bool:
    """What *check* says in a forked child, which must say it within WAIT_S."""
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(readable)
            status = 0 if check() else 2
        finally:
            os._exit(status)
    os.close(writable)
    try:
        ended, _, _ = select.select([readable], [], [], WAIT_S)  # at the end of file: the child has exited
        if not ended:
            os.kill(child, signal.SIGKILL)
        return os.waitpid(child, 0)[1] == 0
    finally:
        os.close(readable)


class PortalLife(RuleBasedStateMachine):
    """The model: the portal that every user must get, or None when the next one must get a new one; and all the dead ones."""

    def __init__(self) -> None:
        super().__init__()
        self.expected: BlockingPortal | None = None
        self.former: list[BlockingPortal] = []

    @initialize()
    def begin(self) -> None:
        self.expected = get_default_portal()

    def seen(self, portal: BlockingPortal) -> None:
        assert all(portal is not dead for dead in self.former)
        assert self.expected is None or portal is self.expected
        self.expected = portal

    def gone(self, portal: BlockingPortal) -> None:
        self.former.append(portal)
        self.expected = None

    @rule()
    def get(self) -> None:
        self.seen(get_default_portal())

    @rule()
    def call(self) -> None:
        there = syncify(ident)()
        self.seen(get_default_portal())
        assert get_default_portal().call(threading.get_ident) == there != threading.get_ident()

    @rule(threads=st.integers(2, 8))
    def race(self, threads: int) -> None:
        barrier = threading.Barrier(threads)
        got: list[tuple[BlockingPortal, int]] = []

        def use() -> None:
            barrier.wait(WAIT_S)
            got.append((get_default_portal(), syncify(ident)()))

        users = [threading.Thread(target=use, daemon=True) for _ in range(threads)]
        for user in users:
            user.start()
        for user in users:
            user.join(WAIT_S)
        assert len(got) == threads
        for portal, there in got:
            self.seen(portal)
            assert there == got[0][1]

    @rule(kind=st.sampled_from([ValueError, SystemExit, KeyboardInterrupt, BaseExceptionGroup]))
    def call_that_raises(self, kind: type[BaseException]) -> None:
        error = kind("group", [SystemExit(3)]) if kind is BaseExceptionGroup else kind("raised by the coroutine")
        with pytest.raises(kind) as caught:
            syncify(fails)(error)
        assert caught.value is error
        self.seen(get_default_portal())

    @rule()
    def reentrant_call(self) -> None:
        portal = get_default_portal()
        self.seen(portal)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ReentrantCallWarning)
            assert portal.call(syncify(ident)) not in (portal.call(threading.get_ident), threading.get_ident())

    @rule(cancel=st.booleans())
    def stop(self, cancel: bool) -> None:
        portal = get_default_portal()
        self.seen(portal)
        portal.call(portal.stop, cancel)
        self.gone(portal)

    @rule(error=st.sampled_from([None, SystemExit, KeyboardInterrupt]))
    def crash(self, error: type[BaseException] | None) -> None:
        portal = get_default_portal()
        self.seen(portal)
        [thread] = [each for each in live_portal_threads() if each.ident == portal.call(threading.get_ident)]
        if error is None:
            portal.call(_stop_loop)
        else:
            future = portal.start_task_soon(partial(_raise, error))
            assert isinstance(future.exception(WAIT_S), error)
        thread.join(WAIT_S)
        assert not thread.is_alive()
        self.gone(portal)

    @rule(used_before=st.booleans())
    def fork(self, used_before: bool) -> None:
        parents = get_default_portal() if used_before else None
        if parents is not None:
            self.seen(parents)

        def works_in_child() -> bool:
            there = syncify(ident)()
            mine = get_default_portal()
            return (
                mine is not parents and mine.call(threading.get_ident) == there and all(mine is not old for old in self.former)
            )

        assert in_forked_child(works_in_child)

    @invariant()
    def at_most_one_new_thread_at_a_time(self) -> None:
        if self.expected is not None:
            there = self.expected.call(threading.get_ident)
            assert [thread.daemon for thread in live_portal_threads() if thread.ident == there] == [True]


def _raise(kind: type[BaseException]) -> Any:
    raise kind("outside of any call")


async def _stop_loop() -> None:
    import asyncio

    asyncio.get_running_loop().stop()


def test_the_default_portal_lives_through_everything() -> None:
    """Get, call, fail, race, re-enter, stop, crash, fork: in any order a default portal works after. proves: P1, P2, S5"""
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        PortalLife, settings=settings(deadline=None, max_examples=30, stateful_step_count=15, print_blob=True)
    )

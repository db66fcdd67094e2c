"""Streams and scopes whose loop is closed under them: the token returns, and the thread lives."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import pytest
from anyio import CapacityLimiter

from gllm_core.concurrency import asyncify, asyncify_context, asyncify_iterator
from handshakes import WAIT_S


def use_the_token(limiter: CapacityLimiter) -> None:
    """The next user, on a loop of its own, gets the one token there is."""

    async def call() -> str:
        with anyio.fail_after(WAIT_S):
            return await asyncify(lambda: "works", limiter=limiter)()

    assert anyio.run(call) == "works"


def test_a_scope_that_is_dropped_before_its_loop_is_closed_costs_no_token() -> None:
    """Its last report lies in the queue of a loop that never turns again: its token returns all the same. proves: A3, I3"""
    limiter, left = CapacityLimiter(1), threading.Event()

    @asyncify_context(limiter=limiter)
    @contextmanager
    def scope() -> Iterator[None]:
        try:
            yield
        finally:
            left.set()

    async def enter() -> object:
        entered = scope()
        await entered.__aenter__()
        return entered

    loop = asyncio.new_event_loop()
    entered = loop.run_until_complete(enter())
    del entered
    assert left.wait(WAIT_S)
    loop.close()
    use_the_token(limiter)


@pytest.mark.parametrize("dropped", [True, False])
def test_a_loop_closed_while_an_item_is_produced_harms_no_thread(dropped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The source goes on, and is closed on its thread once its consumer is dropped; the thread lives. proves: A3, I2, I3"""
    limiter, began, go_on, closed = CapacityLimiter(1), threading.Event(), threading.Event(), threading.Event()
    deaths: list[object] = []
    threads: list[int] = []
    monkeypatch.setattr(threading, "excepthook", deaths.append)

    def source() -> Iterator[int]:
        threads.append(threading.get_ident())
        try:
            began.set()
            go_on.wait(WAIT_S)
            yield 1
        finally:
            threads.append(threading.get_ident())
            closed.set()

    async def consume() -> None:
        async for _ in asyncify_iterator(source, limiter=limiter)():
            pass

    async def main() -> asyncio.Task[None]:
        task = asyncio.ensure_future(consume())
        await asyncio.to_thread(began.wait, WAIT_S)
        return task

    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # it was destroyed while it was pending: on purpose
    task: asyncio.Task[None] | None = loop.run_until_complete(main())
    loop.close()
    if dropped:
        task = None
        gc.collect()
    go_on.set()
    task = None
    for _ in range(1000):
        gc.collect()
        if closed.wait(0.01):
            break
    assert closed.is_set()
    assert threads[0] == threads[1]
    assert task is None
    use_the_token(limiter)
    assert deaths == []

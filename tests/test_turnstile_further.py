"""The way into an explicit limiter: loops that are closed over their waiters, a forked child, a limiter that fails."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from anyio import CapacityLimiter

from fork_programs import PROGRAM
from gllm_core.concurrency import _turnstile, asyncify, in_flight
from gllm_core.concurrency._asyncify import _of_thread
from gllm_core.concurrency._turnstile import _Place, turnstile_of
from handshakes import WAIT_S, Gate, turns
from subprocess_tools import FORK_BESIDE_THREADS, run_program


@pytest.fixture
def loops() -> Iterator[list[asyncio.AbstractEventLoop]]:
    """Two loops that turn only when they are told to, and do not complain of what is lost when they are closed."""
    loops = [asyncio.new_event_loop() for _ in range(2)]
    for loop in loops:
        loop.set_exception_handler(lambda *_: None)
    yield loops
    for loop in loops:
        loop.close()
    gc.collect()  # what was lost is in flight until then


def begin(loop: asyncio.AbstractEventLoop, call: Callable[..., Any]) -> asyncio.Future[Any]:
    """Let *call* get as far as it can on *loop*, which then stands still."""

    async def first_steps() -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.ensure_future(call())
        await turns()
        return future

    return loop.run_until_complete(first_steps())


def end(loop: asyncio.AbstractEventLoop, *futures: asyncio.Future[Any]) -> list[Any]:
    async def bounded() -> list[Any]:
        async with asyncio.timeout(WAIT_S):
            return await asyncio.gather(*futures)

    return loop.run_until_complete(bounded())


@pytest.mark.parametrize("at_once", [False, True], ids=["later", "at once"])
def test_a_token_on_its_way_to_a_loop_that_is_closed_comes_back(loops: list[asyncio.AbstractEventLoop], at_once: bool) -> None:
    """A token that was sent to another loop, which is closed before it turns, goes to the next waiter. proves: A3, A11"""
    limiter, gate, (here, other) = CapacityLimiter(1), Gate(), loops
    wake, queued = other.call_soon_threadsafe, list[asyncio.Handle]()

    def wake_and_close(*args: Any, **kwargs: Any) -> asyncio.Handle:
        queued.append(wake(*args, **kwargs))  # as if it came just after `close` has emptied the loop's queue
        other.close()
        return queued[0]

    holds = begin(here, asyncify(gate, limiter=limiter))
    if at_once:
        other.call_soon_threadsafe = wake_and_close  # type: ignore[assignment, method-assign] # to close it in between
    lost = begin(other, asyncify(int, limiter=limiter))
    waits = begin(here, asyncify(int, limiter=limiter))
    gate.leave.set()
    assert end(here, holds) == ["through"]
    other.close()
    assert end(here, waits) == [0]
    assert (lost.done(), limiter.borrowed_tokens) == (False, 0)


def test_waiters_whose_turn_comes_when_their_loop_is_closed_are_passed_over(loops: list[asyncio.AbstractEventLoop]) -> None:
    """Behind waiters of a closed loop, which never had their turn, the next one gets its token. proves: A3, A4, A11"""
    limiter, gate, (here, other) = CapacityLimiter(1), Gate(), loops
    quick = asyncify(int, limiter=limiter)
    futures = [begin(here, asyncify(gate, limiter=limiter)), begin(here, quick)]
    lost = [begin(other, quick), begin(other, quick)]
    futures.append(begin(here, quick))
    other.close()
    gate.leave.set()
    assert end(here, *futures) == ["through", 0, 0]
    assert ([future.done() for future in lost], limiter.borrowed_tokens) == ([False, False], 0)


@pytest.mark.parametrize("looks_every_s", [0.01, 0.0], ids=["before it looks", "after it has looked"])
def test_behind_a_loop_that_is_closed_with_a_token_just_given_the_next_is_served(
    loops: list[asyncio.AbstractEventLoop], monkeypatch: pytest.MonkeyPatch, looks_every_s: float
) -> None:
    """A token that was given to a task whose loop is closed before it hears of that goes to the one who waits behind.

    proves: A3, A11
    """
    monkeypatch.setattr(_turnstile, "HEALTH_CHECK_S", looks_every_s)
    limiter, gate, (here, other) = CapacityLimiter(1), Gate(), loops
    kept = [begin(other, asyncify(gate, limiter=limiter)), begin(other, asyncify(int, limiter=limiter))]
    waits = begin(here, asyncify(int, limiter=limiter))
    first = set(limiter.statistics().borrowers)
    gate.leave.set()
    while first & set(limiter.statistics().borrowers):  # until the token was handed on, and not a turn longer
        other.call_soon(other.stop)
        other.run_forever()
    assert limiter.borrowed_tokens == 1
    other.close()
    assert end(here, waits) == [0]
    assert (kept[1].done(), limiter.borrowed_tokens) == (False, 0)


def test_one_who_waited_on_a_loop_that_is_closed_is_let_go(loops: list[asyncio.AbstractEventLoop]) -> None:
    """When the limiter has let go of a task whose loop was closed over it, nobody keeps its arguments. proves: A10, A11"""
    limiter, (here, other) = CapacityLimiter(1), loops
    argument = Argument()
    kept = weakref.ref(argument)

    async def hold() -> None:
        limiter.acquire_on_behalf_of_nowait("another user")

    async def give_back() -> None:
        with suppress(RuntimeError):  # the limiter tells a task whose loop is closed
            limiter.release_on_behalf_of("another user")

    here.run_until_complete(hold())
    lost = begin(other, partial(asyncify(id, limiter=limiter), argument))
    other.close()
    waits = begin(here, asyncify(int, limiter=limiter))
    here.run_until_complete(give_back())
    del lost, argument
    gc.collect()
    assert end(here, waits) == [0]
    assert kept() is None


class Argument:
    """It can be referred to weakly."""


@pytest.mark.parametrize("how", ["cancelled", "as it looks around"])
def test_one_who_waits_behind_another_loop_can_be_cancelled(
    loops: list[asyncio.AbstractEventLoop], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Waiting for one's turn ends at once when it is cancelled, however often it looks around meanwhile. proves: A4"""
    limiter, gate, (here, other) = CapacityLimiter(1), Gate(), loops
    holds, first = begin(other, asyncify(gate, limiter=limiter)), begin(other, asyncify(int, limiter=limiter))
    if how != "cancelled":
        monkeypatch.setattr(_turnstile, "HEALTH_CHECK_S", 0.0)
    started: list[int] = []
    task = here.create_task(asyncify(started.append, limiter=limiter)(1))

    async def cancel() -> None:
        await turns()
        task.cancel()
        await asyncio.wait([task], timeout=WAIT_S)
        assert task.cancelled()

    here.run_until_complete(cancel())
    gate.leave.set()
    assert end(other, holds, first) == ["through", 0]
    assert (started, limiter.borrowed_tokens) == ([], 0)


class Broken(CapacityLimiter):
    """A limiter of the user's own, which fails."""

    def __new__(cls) -> Broken:
        return object.__new__(cls)

    def __init__(self) -> None:
        pass

    def acquire_on_behalf_of_nowait(self, borrower: object) -> None:
        raise ConnectionError("the limiter is elsewhere")


class Lock:
    """A lock that calls *then* whenever it has been released."""

    def __init__(self, then: Callable[[], object]) -> None:
        self._lock = threading.RLock()
        self._then = then
        self.held = 0

    def __enter__(self) -> None:
        self._lock.acquire()
        self.held += 1

    def __exit__(self, *exc_info: object) -> None:
        self.held -= 1
        self._lock.release()
        if not self.held:
            self._then()


@pytest.mark.parametrize("when", ["queued", "asked for"])
def test_a_turn_that_comes_before_it_is_waited_for(
    loops: list[asyncio.AbstractEventLoop], when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn that another loop's thread gives before it is waited for is neither missed nor in the way. proves: A3, A11"""
    limiter, gate, (here, other) = CapacityLimiter(1), Gate(), loops
    turnstile = turnstile_of(limiter)
    holds = begin(here, asyncify(gate, limiter=limiter))
    waits = begin(here, asyncify(int, limiter=limiter))
    ended: list[Any] = []

    def go_on_here() -> None:
        if not gate.leave.is_set():
            gate.leave.set()
            thread = threading.Thread(target=lambda: ended.extend(end(here, holds, waits)))
            thread.start()
            thread.join(WAIT_S)

    lock = Lock(lambda: go_on_here() if when == "queued" and turnstile._queue and turnstile._queue[-1].turn else None)

    class Place(_Place):
        @property
        def turn(self) -> Any:
            turn = self._turn
            if when == "asked for" and turn is not None and not lock.held:
                go_on_here()  # between the question and what is done about the answer
            return turn

        @turn.setter
        def turn(self, turn: Any) -> None:
            self._turn = turn

    monkeypatch.setattr("gllm_core.concurrency._turnstile._Place", Place)
    turnstile._lock = lock  # type: ignore[assignment]
    called = begin(other, asyncify(int, limiter=limiter))
    go_on_here()
    assert ended == ["through", 0]
    assert end(other, called) == [0]
    assert limiter.borrowed_tokens == 0


@pytest.mark.anyio
async def test_an_error_of_the_limiter_reaches_the_awaiter() -> None:
    """What a limiter of the user's own raises reaches the awaiter; no function runs, nothing is in flight. proves: A3, A8"""
    ran: list[int] = []
    with pytest.raises(ConnectionError, match="the limiter is elsewhere"):
        await asyncify(ran.append, limiter=Broken())(1)
    assert (ran, [call for call in in_flight() if call.function == "list.append"]) == ([], [])


def test_a_forked_child_has_the_tokens_of_its_parents_functions() -> None:
    """A forked child has the tokens that functions of its parent hold, but not those of other borrowers. proves: P2, P5, A3"""
    run_program(
        PROGRAM
        + """
limiter, leave = anyio.CapacityLimiter(3), threading.Event()
def hold():
    started.release()
    leave.wait(30)
async def all_at_once():
    together = threading.Barrier(2)
    await asyncio.wait_for(asyncio.gather(*(asyncify(together.wait, limiter=limiter)(10) for _ in range(2))), 10)
    say(limiter.borrowed_tokens)
async def main():
    await limiter.acquire_on_behalf_of("somebody else")
    await asyncio.gather(*(asyncify(hold, limiter=limiter)() for _ in range(2)))
thread = in_thread(asyncio.run, main())
assert started.acquire(timeout=30) and started.acquire(timeout=30)
child(lambda: asyncio.run(all_at_once()))
say(limiter.borrowed_tokens)
leave.set()
thread.join(30)
asyncio.run(all_at_once())
""",
        options=FORK_BESIDE_THREADS,
    ).expect("1", "3", "1")


@pytest.mark.parametrize("tokens", [1, 3])
def test_tokens_that_a_loop_was_given_as_it_was_closed_come_back(loops: list[asyncio.AbstractEventLoop], tokens: int) -> None:
    """Tasks that were handed a token just before their loop was closed, and that somebody keeps, keep nobody out.

    proves: A3, A11
    """
    limiter, gate, (here, other) = CapacityLimiter(tokens), Gate(), loops
    kept = [begin(here, asyncify(gate, limiter=limiter)) for _ in range(4 * tokens)]
    for _ in range(tokens):
        assert gate.entered.acquire(timeout=WAIT_S)
    running = set(limiter.statistics().borrowers)
    assert _of_thread.loop is not None
    returned = _of_thread.loop.outbox._calls
    gate.leave.set()
    by = time.monotonic() + WAIT_S
    while len(returned) < tokens:  # or those that are told first would be through before the last one is
        assert time.monotonic() < by
    while not running.isdisjoint(limiter.statistics().borrowers):
        assert time.monotonic() < by
        here.call_soon(here.stop)  # one turn, in which the next ones are told that they have a token, and do not hear it yet
        here.run_forever()
    here.close()
    arrived = [begin(other, asyncify(gate, limiter=limiter)) for _ in range(2 * tokens)]
    assert end(other, *arrived) == ["through"] * (2 * tokens)
    assert limiter.statistics().borrowed_tokens == 0
    assert not any(future.done() for future in kept[-tokens:])


def test_a_loop_that_is_closed_while_its_tasks_are_told_keeps_no_token(loops: list[asyncio.AbstractEventLoop]) -> None:
    """Two of a loop are told that it is their turn, one before it is closed, and waits already: the next one has the token.

    proves: A3, A11
    """
    limiter, gate, (here, other) = CapacityLimiter(1), Gate(), loops
    wake, told = other.call_soon_threadsafe, list[asyncio.Handle]()

    def tell(*args: Any, **kwargs: Any) -> asyncio.Handle:
        if told:
            other.close()
        told.append(wake(*args, **kwargs))
        thread = threading.Thread(target=lambda: other.run_until_complete(turns()), daemon=True)
        thread.start()
        thread.join(WAIT_S)
        assert not thread.is_alive()
        return told[0]

    other.call_soon_threadsafe = tell  # type: ignore[method-assign, assignment]
    served = [begin(here, asyncify(gate, limiter=limiter)) for _ in range(2)]
    lost = [begin(other, asyncify(gate, limiter=limiter)) for _ in range(2)]
    gate.leave.set()
    assert end(here, *served) == ["through"] * 2
    assert end(here, begin(here, asyncify(gate, limiter=limiter))) == ["through"]
    assert limiter.statistics().borrowed_tokens == 0
    assert not any(future.done() for future in lost)
    assert len(told) == 1

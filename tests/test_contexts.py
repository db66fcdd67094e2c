"""asyncify_context and syncify_context: scopes across the bridge, in one thread or one task from enter to exit."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import CancelledError
from contextlib import asynccontextmanager, contextmanager, nullcontext
from typing import Any

import anyio
import pytest
from anyio import CapacityLimiter, to_thread
from anyio.from_thread import BlockingPortal, start_blocking_portal
from anyio.lowlevel import checkpoint

from deaths import Deaths
from gllm_core.concurrency import PortalNotRunningError, asyncify_context, syncify, syncify_context
from handshakes import WAIT_S, Gate, all_tokens_come_back
from marks import every_lazy_asyncio
from outcomes import outcome_of, outcome_of_awaiting

Portal = BlockingPortal | None


class Boom(Exception):
    """An exception that can be referred to weakly."""


class Thing:
    """A value: it can be referred to weakly."""


class Recorder:
    """A context manager of either kind that says where it is used, and with what; it deals with *deals_with*."""

    def __init__(self, deals_with: type[BaseException] | tuple[()] = (), gate: Gate | None = None) -> None:
        self.where: list[object] = []
        self.thrown: list[BaseException | None] = []
        self.left = threading.Event()
        self._deals_with, self._gate = deals_with, gate

    def __enter__(self) -> Recorder:
        self.where.append(threading.get_ident())
        if self._gate is not None:
            self._gate()
        return self

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> bool:
        self.where.append(threading.get_ident())
        self.thrown.append(error)
        assert traceback is (None if error is None else error.__traceback__)
        self.left.set()
        return isinstance(error, self._deals_with)

    async def __aenter__(self) -> Recorder:
        await checkpoint()
        self._scope = anyio.CancelScope()  # must be left in the task that entered it
        self._scope.__enter__()
        self.where.append(anyio.get_current_task().id)
        return self

    async def __aexit__(self, kind: Any, error: BaseException | None, traceback: Any) -> bool:
        self._scope.__exit__(None, None, None)
        self.thrown.append(error)
        await checkpoint()
        self.where.append(anyio.get_current_task().id)
        self.left.set()
        return isinstance(error, self._deals_with)


def test_the_wrappers_look_like_the_function() -> None:
    """Name, doc and signature are the function's, below `contextmanager` too; methods bind. proves: I2"""

    class Owner:
        @asyncify_context
        @contextmanager
        def blocking(self, a: int, /, *, b: int = 1) -> Iterator[int]:
            """Doc."""
            yield a + b

        @syncify_context(portal=None)
        @asynccontextmanager
        async def asynchronous(self, a: int, /, *, b: int = 1) -> AsyncIterator[int]:
            """Doc."""
            yield a + b

    async def enter() -> int:
        async with Owner().blocking(1, b=2) as value:
            return value

    assert anyio.run(enter) == 3
    with Owner().asynchronous(1, b=2) as value:
        assert value == 3
    for wrapped, name in ((Owner.blocking, "blocking"), (Owner.asynchronous, "asynchronous")):
        assert (wrapped.__name__, wrapped.__doc__, wrapped.__module__) == (name, "Doc.", __name__)
        assert str(inspect.signature(wrapped)).startswith("(self, a: 'int', /, *, b: 'int' = 1)")


@pytest.mark.anyio
async def test_one_thread_makes_enters_and_leaves_it() -> None:
    """Function, enter and exit share a worker thread, whatever runs meanwhile; locks behave. proves: I2"""
    lock, where = threading.RLock(), list[int]()

    @asyncify_context
    @contextmanager
    def locked() -> Iterator[int]:
        with lock:
            where.append(threading.get_ident())
            yield 1
            where.append(threading.get_ident())

    async with locked(), asyncify_context(Recorder)() as recorder:
        assert not lock.acquire(blocking=False)
        await to_thread.run_sync(int)
    assert lock.acquire(blocking=False)
    assert where[0] == where[1] != recorder.where[0] == recorder.where[1] != threading.get_ident()


@pytest.mark.anyio
async def test_the_token_is_held_from_enter_to_exit() -> None:
    """A scope holds one token, also while only its body runs. proves: I2, A3"""
    limiter = CapacityLimiter(1)
    async with asyncify_context(Recorder, limiter=limiter)():
        assert limiter.borrowed_tokens == 1
    assert limiter.borrowed_tokens == 0


def test_one_task_makes_enters_and_leaves_it(portal: Portal) -> None:
    """Enter and exit share a task of the portal's loop, so cancel scopes inside behave. proves: I2"""
    with syncify_context(Recorder, portal=portal)() as recorder:
        syncify(checkpoint, portal=portal)()
    assert recorder.where[0] == recorder.where[1]
    assert recorder.thrown == [None]


@pytest.mark.anyio
@pytest.mark.parametrize("deals_with", [(), Boom])
async def test_an_error_of_the_body_reaches_exit_whose_verdict_decides(deals_with: Any) -> None:
    """`__exit__` gets the very exception, and only its true verdict ends it. proves: I4"""
    recorder, error = Recorder(deals_with), Boom()

    async def body() -> None:
        async with asyncify_context(lambda: recorder)():
            raise error

    assert await outcome_of_awaiting(body) == (("value", None) if deals_with else ("error", error))
    assert recorder.thrown == [error]
    assert to_thread.current_default_thread_limiter().borrowed_tokens == 0


@pytest.mark.parametrize("deals_with", [(), Boom])
def test_an_error_of_the_body_reaches_aexit_whose_verdict_decides(portal: Portal, deals_with: Any) -> None:
    """`__aexit__` gets the very exception, and only its true verdict ends it. proves: I4"""
    recorder, error = Recorder(deals_with), Boom()

    def body() -> None:
        with syncify_context(lambda: recorder, portal=portal)():
            raise error

    assert outcome_of(body) == (("value", None) if deals_with else ("error", error))
    assert recorder.thrown == [error]


@pytest.mark.anyio
@pytest.mark.parametrize("when", ["make", "enter", "exit"])
async def test_errors_of_the_manager_are_the_same_objects(when: str) -> None:
    """What making, entering or leaving raises reaches the awaiter as the same object, and the thread is free. proves: I4"""
    error = Boom()

    def make() -> Any:
        if when == "make":
            raise error
        return generator()

    @contextmanager
    def generator() -> Iterator[None]:
        if when == "enter":
            raise error
        yield
        raise error

    async def use_blocking() -> None:
        async with asyncify_context(make)():
            pass

    def make_async() -> Any:
        if when == "make":
            raise error
        return async_generator()

    @asynccontextmanager
    async def async_generator() -> AsyncIterator[None]:
        if when == "enter":
            raise error
        yield
        raise error

    def use_async() -> None:
        with syncify_context(make_async)():
            pass

    assert await outcome_of_awaiting(use_blocking) == ("error", error)
    assert await to_thread.run_sync(outcome_of, use_async) == ("error", error)
    await all_tokens_come_back(to_thread.current_default_thread_limiter())


@pytest.mark.anyio
async def test_what_was_entered_when_the_cancellation_came_is_left() -> None:
    """Cancelled while it is entered, the awaiter stays until that is over, and leaves with the cancellation. proves: I3, A5"""
    gate = Gate()
    recorder = Recorder(BaseException, gate)

    async def enter() -> None:
        async with asyncify_context(lambda: recorder)():
            raise AssertionError("the body must not run")

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(enter)
            await gate.running()
            scope.cancel()
            gate.leave.set()
    assert scope.cancelled_caught
    assert [type(error) for error in recorder.thrown] == [anyio.get_cancelled_exc_class()]
    assert to_thread.current_default_thread_limiter().borrowed_tokens == 0


@pytest.mark.anyio
async def test_a_cancelled_body_is_left_in_peace() -> None:
    """The exit after a cancellation may make syncified calls; the cancellation goes on after it. proves: I3, I4"""
    done: list[str] = []

    async def rollback() -> None:
        await checkpoint()
        done.append("rolled back")

    @asyncify_context
    @contextmanager
    def transaction() -> Iterator[None]:
        try:
            yield
        finally:
            syncify(rollback)()

    with anyio.CancelScope() as scope:
        async with transaction():
            scope.cancel()
            await checkpoint()
    assert scope.cancelled_caught
    assert done == ["rolled back"]


@pytest.mark.anyio
@every_lazy_asyncio
async def test_a_native_cancellation_in_the_exit_is_raised_after_it() -> None:
    """`task.cancel()` while the exit runs does not cut it short, and is not lost. proves: I3, A5"""
    gate = Gate()

    @asyncify_context
    @contextmanager
    def slow() -> Iterator[None]:
        yield
        gate()

    async def use() -> None:
        async with slow():
            pass

    task = asyncio.ensure_future(use())
    await gate.running()
    task.cancel()
    await checkpoint()
    assert not task.done()
    gate.leave.set()
    await asyncio.wait([task], timeout=WAIT_S)
    assert task.cancelled()
    assert gate.left.is_set()


@pytest.mark.anyio
async def test_a_dropped_scope_frees_its_thread(deaths: Deaths) -> None:
    """A context that was entered and is dropped gives thread and token back, and keeps nothing. proves: I3"""
    await asyncify_context(lambda: nullcontext(deaths.watch(Thing())))().__aenter__()
    assert await to_thread.run_sync(deaths.all_soon)
    await all_tokens_come_back(to_thread.current_default_thread_limiter())


@pytest.mark.parametrize("cancels", [False, True])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_portal_that_stops_in_a_scope_leaves_it(backend: Any, cancels: bool) -> None:
    """A portal stopped inside a scope leaves it, with an error; the exit raises PortalNotRunningError. proves: I3, S4"""
    recorder = Recorder()

    def use() -> None:
        with start_blocking_portal(backend) as portal:
            context = syncify_context(lambda: recorder, portal=portal)()
            context.__enter__()
            portal.call(portal.stop, cancels)
        context.__exit__(None, None, None)

    kind, error = outcome_of(use)
    assert (kind, type(error)) == ("error", PortalNotRunningError)
    (thrown,) = recorder.thrown
    assert isinstance(thrown, PortalNotRunningError) or (cancels and not isinstance(thrown, Exception | None))


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_what_is_cancelled_as_it_is_entered_is_not_left(backend: Any) -> None:
    """A portal that cancels what it runs, as it stops, ends an enter, and nothing else. proves: I3, S4"""
    entering, left, ended = threading.Event(), list[object](), list[Any]()

    class Endless:
        async def __aenter__(self) -> None:
            entering.set()
            await anyio.sleep_forever()

        async def __aexit__(self, *exc_info: object) -> None:
            left.append(exc_info)

    def enter(portal: BlockingPortal) -> None:
        ended.append(outcome_of(syncify_context(Endless, portal=portal)().__enter__))

    with start_blocking_portal(backend) as portal:
        thread = threading.Thread(target=enter, args=(portal,))
        thread.start()
        assert entering.wait(WAIT_S)
        portal.call(portal.stop, True)
    thread.join(WAIT_S)
    ((kind, error),) = ended
    assert (kind, type(error), left) == ("error", CancelledError, [])


class Refuses:
    """A context manager that cannot be entered."""

    async def __aenter__(self) -> None:
        raise ValueError

    async def __aexit__(self, *exc_info: object) -> None: ...


def test_what_could_not_be_entered_is_let_go(deaths: Deaths) -> None:
    """Who still holds the scope that could not be entered does not hold what was to be entered. proves: S12"""
    context = syncify_context(lambda: deaths.watch(Refuses()))()
    assert type(outcome_of(context.__enter__)[1]) is ValueError
    assert deaths.all_soon()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_context_is_entered_once(backend: Any) -> None:
    """Entering again, or leaving what was not entered, is an error, as it is for generators. proves: I2"""
    asynchronous, blocking = asyncify_context(nullcontext)(), syncify_context(Recorder)()
    assert anyio.run(misuses, asynchronous, backend=backend) == ["RuntimeError"] * 3
    seen = [outcome_of(lambda: blocking.__exit__(None, None, None))]
    with blocking:
        seen.append(outcome_of(blocking.__enter__))
    seen.append(outcome_of(blocking.__enter__))
    assert [type(error).__name__ for _, error in seen] == ["RuntimeError"] * 3


async def misuses(context: Any) -> list[str]:
    seen = [await outcome_of_awaiting(lambda: context.__aexit__(None, None, None))]
    async with context:
        seen.append(await outcome_of_awaiting(context.__aenter__))
    seen.append(await outcome_of_awaiting(context.__aenter__))
    return [type(error).__name__ for _, error in seen]

"""Properties: a bridged stream or scope is the plain one, whatever it produces, raises and is asked, wherever it is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio
import pytest
from anyio import to_thread
from hypothesis import given, settings
from hypothesis import strategies as st

from gllm_core.concurrency import asyncify_context, asyncify_iterator, syncify_context, syncify_iterator
from outcomes import outcome_of, outcome_of_awaiting

MODEST = settings(deadline=None, max_examples=100)
backends = pytest.mark.parametrize("backend", ["asyncio", "trio"])


class Boom(Exception):
    pass


class Stubborn(BaseException):
    pass


values = st.one_of(st.none(), st.integers(), st.builds(object), st.booleans())
errors = st.sampled_from([Boom, ValueError, Stubborn, SystemExit]).map(lambda kind: kind("raised"))
items = st.lists(st.one_of(values.map(lambda value: ("value", value)), errors.map(lambda error: ("error", error))), max_size=6)
"""What the source does, one after another: yield a value, or raise."""
asks = st.lists(st.one_of(st.just(("next", None)), errors.map(lambda error: ("throw", error))), max_size=8)
"""What the consumer does, one after another; then it closes the stream."""
recoveries = st.booleans()

Log = list[tuple[str, Any]]


class Script:
    """A stream of either kind, that notes what happens to it."""

    def __init__(self, items: Log, recovers: bool) -> None:
        self._items, self._recovers = items, recovers
        self.log: Log = []

    def _caught(self, error: BaseException) -> None:
        self.log.append(("caught", error))
        if isinstance(error, GeneratorExit) or not self._recovers:
            raise error

    def blocking(self) -> Iterator[Any]:
        try:
            for kind, item in self._items:
                self.log.append((kind, item))
                if kind == "error":
                    raise item
                try:
                    yield item
                except Boom as error:
                    self._caught(error)
        finally:
            self.log.append(("finally", None))

    async def asynchronous(self) -> AsyncIterator[Any]:
        try:
            for kind, item in self._items:
                await anyio.lowlevel.checkpoint()
                self.log.append((kind, item))
                if kind == "error":
                    raise item
                try:
                    yield item
                except Boom as error:
                    self._caught(error)
        finally:
            await anyio.lowlevel.checkpoint()
            self.log.append(("finally", None))


def drive(stream: Any, asked: Log, log: Log) -> Log:
    seen: Log = []
    for kind, error in asked:
        throws = kind == "throw" and not over(seen)
        seen.append(outcome_of(lambda: stream.throw(error) if throws else next(stream)))  # noqa: B023 # called at once
    return simple([*seen, outcome_of(stream.close), *log])


async def drive_async(stream: Any, asked: Log, log: Log) -> Log:
    seen: Log = []
    for kind, error in asked:
        throws = kind == "throw" and not over(seen)
        seen.append(await outcome_of_awaiting(lambda: stream.athrow(error) if throws else anext(stream)))  # noqa: B023 # as above
    return simple([*seen, await outcome_of_awaiting(stream.aclose), *log])


def over(seen: Log) -> bool:
    """Whether the stream has ended. What is thrown into it then, Python's two kinds of generators take differently."""
    return bool(seen) and seen[-1][0] == "error"


def simple(log: Log) -> Log:
    """The end of a stream is called StopIteration or StopAsyncIteration, and is a new object each time."""
    return [(kind, "end" if isinstance(what, (StopIteration, StopAsyncIteration)) else what) for kind, what in log]


@backends
@given(items=items, asked=asks, recovers=recoveries)
@MODEST
def test_an_asyncified_stream_is_the_plain_one(backend: str, items: Log, asked: Log, recovers: bool) -> None:
    """Outcomes, by identity, and what happens in the source, in order, are those of the plain stream. proves: I1, I3, I4"""

    async def bridged() -> Log:
        script = Script(items, recovers)
        found = await drive_async(asyncify_iterator(script.blocking)(), asked, script.log)
        assert to_thread.current_default_thread_limiter().borrowed_tokens == 0
        return found

    plain = Script(items, recovers)
    expected = drive(plain.blocking(), asked, plain.log)
    assert anyio.run(bridged, backend=backend) == expected


@given(items=items, asked=asks, recovers=recoveries)
@MODEST
def test_a_syncified_stream_is_the_plain_one(items: Log, asked: Log, recovers: bool) -> None:
    """Outcomes, by identity, and what happens in the source, in order, are those of the plain stream. proves: I1, I3, I4"""
    plain, bridged = Script(items, recovers), Script(items, recovers)
    expected = asyncio.run(drive_async(plain.asynchronous(), asked, plain.log))
    assert drive(syncify_iterator(bridged.asynchronous)(), asked, bridged.log) == expected


@backends
@given(items=items, asked=asks, recovers=recoveries)
@MODEST
def test_a_stream_across_both_bridges_is_the_plain_one(backend: str, items: Log, asked: Log, recovers: bool) -> None:
    """A stream that goes to a loop and to a thread again is the plain one. proves: I1, I3, I4"""
    plain, bridged = Script(items, recovers), Script(items, recovers)
    expected = drive(plain.blocking(), asked, plain.log)

    def consume() -> Log:
        return drive(syncify_iterator(asyncify_iterator(bridged.blocking))(), asked, bridged.log)

    assert anyio.run(to_thread.run_sync, consume, backend=backend) == expected


steps = st.fixed_dictionaries(
    {"enter": st.none() | errors, "body": st.none() | errors, "exit": st.none() | errors, "suppresses": st.booleans()}
)


def scopes(script: dict[str, Any], log: Log) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """A blocking and an asynchronous scope that do the same."""

    def leave(error: BaseException) -> None:
        log.append(("left with", error))
        if script["exit"] is not None:
            raise script["exit"]
        if not script["suppresses"]:
            raise error

    @contextmanager
    def blocking() -> Iterator[object]:
        if script["enter"] is not None:
            raise script["enter"]
        try:
            yield log
        except BaseException as error:  # noqa: BLE001 # whatever the body raises
            leave(error)
        log.append(("left", None))

    @asynccontextmanager
    async def asynchronous() -> AsyncIterator[object]:
        if script["enter"] is not None:
            raise script["enter"]
        try:
            yield log
        except BaseException as error:  # noqa: BLE001 # whatever the body raises
            leave(error)
        log.append(("left", None))

    return blocking, asynchronous


def use(make: Callable[[], Any], script: dict[str, Any], log: Log) -> None:
    with make() as value:
        log.append(("body", value is log))
        if script["body"] is not None:
            raise script["body"]


async def use_async(make: Callable[[], Any], script: dict[str, Any], log: Log) -> None:
    async with make() as value:
        log.append(("body", value is log))
        if script["body"] is not None:
            raise script["body"]


@backends
@given(script=steps)
@MODEST
def test_a_bridged_scope_is_the_plain_one(backend: str, script: dict[str, Any]) -> None:
    """Enter, body, exit and its verdict have the outcomes of the plain scope, in both directions. proves: I2, I4"""
    logs: list[Log] = [[], [], [], []]
    expected = [outcome_of(lambda: use(scopes(script, logs[0])[0], script, logs[0])), logs[0]]
    asyncified = outcome_of(
        lambda: anyio.run(use_async, asyncify_context(scopes(script, logs[1])[0]), script, logs[1], backend=backend)
    )
    assert [asyncified, logs[1]] == expected
    syncified = outcome_of(lambda: use(syncify_context(scopes(script, logs[2])[1]), script, logs[2]))
    assert [syncified, logs[2]] == expected
    both = syncify_context(asyncify_context(scopes(script, logs[3])[0]))
    assert [outcome_of(lambda: use(both, script, logs[3])), logs[3]] == expected

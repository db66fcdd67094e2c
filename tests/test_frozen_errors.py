"""Exceptions of which no attribute can be set, such as those of frozen dataclasses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType

import pytest
from anyio.lowlevel import checkpoint

from gllm_core.concurrency import asyncify, asyncify_context, asyncify_iterator, syncify, syncify_iterator
from subprocess_tools import COMMON, run_program


@dataclass(frozen=True)
class Frozen(Exception):
    """An exception that says no to whoever sets an attribute of it."""

    code: int


@pytest.mark.anyio
async def test_a_frozen_error_reaches_the_awaiter() -> None:
    """A frozen dataclass reaches the awaiter as itself, with the context that it has. proves: A8, I4"""
    raised: list[Frozen] = []

    def fails() -> None:
        try:
            raise LookupError
        except LookupError:
            raised.append(Frozen(len(raised)))
            raise raised[-1]  # noqa: B904 # the context is what is looked at

    def source() -> Iterator[int]:
        fails()
        yield 1

    class Scope(AbstractContextManager[None]):
        def __enter__(self) -> None:
            fails()

        def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
            pass

    async def enter() -> None:
        async with asyncify_context(Scope)():
            pass

    caught: list[BaseException] = []
    for call in (asyncify(fails), lambda: anext(asyncify_iterator(source)()), enter):
        with pytest.raises(Exception) as info:  # noqa: PT011 # whatever comes is looked at below
            await call()
        caught.append(info.value)
    assert [error is thrown for error, thrown in zip(caught, raised, strict=True)] == 3 * [True]
    assert [type(error.__context__) for error in caught] == 3 * [LookupError]


def test_a_frozen_error_reaches_the_caller() -> None:
    """A frozen dataclass reaches the caller as itself. proves: S2, I4"""
    error = Frozen(1)

    async def fails() -> None:
        await checkpoint()
        raise error

    async def source() -> AsyncIterator[int]:
        await fails()
        yield 1

    for call in (syncify(fails), lambda: list(syncify_iterator(source)())):
        with pytest.raises(Frozen) as caught:
            call()
        assert caught.value is error


def test_a_frozen_error_of_a_handler_reaches_the_caller() -> None:
    """A signal handler may raise one; what the coroutine raises as it is cancelled becomes its context. proves: S6"""
    run_program(
        COMMON
        + """
from dataclasses import dataclass

@dataclass(frozen=True)
class Frozen(Exception):
    code: int

def handler(*_):
    raise Frozen(1)

async def fails():
    os.kill(os.getpid(), signal.SIGUSR1)
    try:
        await anyio.sleep_forever()
    finally:
        raise LookupError

signal.signal(signal.SIGUSR1, handler)
try:
    syncify(fails)()
except Exception as error:
    say(type(error).__name__, type(error.__context__).__name__)
"""
    ).expect("Frozen LookupError")

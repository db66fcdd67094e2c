"""A scope is left because of an error: it is the one that is handled in the exit, as below `with`."""

from __future__ import annotations

import sys
import traceback
from contextlib import AbstractAsyncContextManager, AbstractContextManager

import pytest
from anyio.from_thread import BlockingPortal
from anyio.lowlevel import checkpoint

import outcomes
from gllm_core.concurrency import asyncify_context, syncify_context
from outcomes import outcome_of, outcome_of_awaiting


class Exit:
    """What an exit does: it looks at what is handled, and raises *error*, or lets pass what made it leave."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error
        self.handled = list[BaseException | None]()

    def __call__(self) -> None:
        self.handled.append(sys.exc_info()[1])
        if self.error is not None:
            raise self.error


class Scope(Exit, AbstractContextManager[None]):
    """A blocking scope, without a generator to throw into."""

    def __exit__(self, *_: object) -> None:
        self()


class AsyncScope(Exit, AbstractAsyncContextManager[None]):
    """An asynchronous scope, without a generator to throw into."""

    async def __aexit__(self, *_: object) -> None:
        await checkpoint()
        self()


def check(caught: BaseException, thrown: Exception, scope: Exit) -> None:
    """What came out is the exit's error, if it has one, and tells of the body's, which is what the exit handled."""
    assert scope.handled == [thrown]
    assert caught is (scope.error or thrown)
    assert caught.__context__ is (None if scope.error is None else thrown)
    files = {frame.filename for frame in traceback.extract_tb(thrown.__traceback__)}
    assert files <= {__file__, outcomes.__file__}
    assert thrown.__context__ is None


@pytest.mark.anyio
@pytest.mark.parametrize("error", [None, OSError()], ids=["passes", "raises"])
async def test_the_exit_handles_the_bodys_error(error: Exception | None) -> None:
    """The error of the body is handled in `__exit__`, and is the context of what that raises, not lost. proves: I4, A8"""
    scope, thrown = Scope(error), ValueError()

    def body() -> None:
        raise thrown

    async def leave_it() -> None:
        async with asyncify_context(lambda: scope)():
            body()

    _, caught = await outcome_of_awaiting(leave_it)
    check(caught, thrown, scope)


@pytest.mark.parametrize("error", [None, OSError()], ids=["passes", "raises"])
def test_the_async_exit_handles_the_bodys_error(error: Exception | None, portal: BlockingPortal | None) -> None:
    """The error of the body is handled in `__aexit__`, and is the context of what that raises, not lost. proves: I4, S2"""
    scope, thrown = AsyncScope(error), ValueError()

    def body() -> None:
        raise thrown

    def leave_it() -> None:
        with syncify_context(lambda: scope, portal=portal)():
            body()

    _, caught = outcome_of(leave_it)
    check(caught, thrown, scope)

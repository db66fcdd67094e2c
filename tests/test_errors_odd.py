"""Errors that do not answer when they are asked what they are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal
from anyio.lowlevel import checkpoint

from gllm_core.concurrency import asyncify, asyncify_iterator, syncify, syncify_iterator
from outcomes import outcome_of, outcome_of_awaiting


class Odd(Exception):
    """It says nothing of itself: proxies do so once what they stand for is gone."""

    @property  # type: ignore[misc] # an attribute that can be set, of other objects
    def __class__(self) -> Any:
        raise LookupError

    def __eq__(self, _: object) -> bool:
        raise LookupError

    def __bool__(self) -> bool:
        raise LookupError

    __hash__ = None  # type: ignore[assignment] # it cannot be looked up, either


def test_an_odd_error_reaches_the_caller(portal: BlockingPortal | None) -> None:
    """Nobody asks it what it is: it comes out, and not another one, and no value. proves: S2, I4"""
    error = Odd()

    async def fails() -> None:
        await checkpoint()
        raise error

    async def source() -> AsyncIterator[int]:
        await fails()
        yield 1

    for call in (syncify(fails, portal=portal), lambda: list(syncify_iterator(source, portal=portal)())):
        kind, caught = outcome_of(call)
        assert kind == "error"
        assert caught is error


@pytest.mark.anyio
async def test_an_odd_error_reaches_the_awaiter() -> None:
    """Nobody asks it what it is: it comes out, and not another one. proves: A8, I4"""
    error = Odd()

    def fails() -> None:
        raise error

    def source() -> Iterator[int]:
        fails()
        yield 1

    for call in (asyncify(fails), lambda: anext(asyncify_iterator(source)())):
        kind, caught = await outcome_of_awaiting(call)
        assert kind == "error"
        assert caught is error

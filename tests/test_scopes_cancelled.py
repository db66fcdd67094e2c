"""Syncified scopes that something inside them cancels while the body runs: a deadline, a child of a task group that fails."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from anyio.from_thread import BlockingPortal

from gllm_core.concurrency import syncify_context
from handshakes import WAIT_S
from insides import Made, deadline, group_whose_child_raises, limited
from outcomes import outcome_of


def ended_inside(make: Made, portal: BlockingPortal | None, raised: Exception | None) -> tuple[str, object]:
    """What comes out of a scope whose body goes on until its inside has ended, and then raises *raised*, if at all."""
    ended = threading.Event()

    @asynccontextmanager
    async def scope() -> AsyncIterator[None]:
        try:
            async with make():
                yield
        finally:
            ended.set()

    def use() -> None:
        with syncify_context(scope, portal=portal)():
            assert ended.wait(WAIT_S)
            if raised is not None:
                raise raised

    return outcome_of(use)


@pytest.mark.parametrize("raised", [None, LookupError()], ids=["body ends", "body raises"])
def test_the_error_of_a_child_is_raised_at_the_exit(portal: BlockingPortal | None, raised: Exception | None) -> None:
    """What cancels the scope from inside is raised when the body is over; the body's own is not lost. proves: I4, I2, S2"""
    error = ValueError()
    kind, caught = ended_inside(group_whose_child_raises(error), portal, raised)
    assert kind == "error"
    assert isinstance(caught, ExceptionGroup)
    assert caught.exceptions == (error,)
    if raised is not None:
        assert caught.__context__ is raised


def test_a_deadline_inside_is_raised_at_the_exit(portal: BlockingPortal | None) -> None:
    """A scope that turns its cancellation into an error raises that when the body is over. proves: I4, I2"""
    kind, caught = ended_inside(deadline, portal, None)
    assert (kind, type(caught)) == ("error", TimeoutError)


def test_a_scope_that_deals_with_its_cancellation_is_left_in_peace(portal: BlockingPortal | None) -> None:
    """A scope that takes its own cancellation is over; the body's error, which it never saw, is not. proves: I4"""
    error = LookupError()
    assert ended_inside(limited, portal, None) == ("value", None)
    assert ended_inside(limited, portal, error) == ("error", error)

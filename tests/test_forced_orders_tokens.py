"""Rare orders of a loan that is granted: with the task cancelled in that step, and the news of it dropped later."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

import anyio
import pytest
from anyio import CapacityLimiter

from gllm_core.concurrency import _tokens
from gllm_core.concurrency._delivery import Home
from gllm_core.concurrency._inflight import Loan, loans
from gllm_core.concurrency._tokens import wait_for_token
from handshakes import turns, waiting
from test_tokens_race import Held, below_a_lender, call_and_cancel, never


def test_a_grant_whose_news_is_dropped_when_its_task_has_dealt_with_it_is_not_given_back_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A cancelled task gives its loan back; that the loop then drops the news of it takes it from nobody. proves: A3, A13"""
    sent: list[Any] = []

    async def main() -> None:
        limiter = CapacityLimiter(1)
        limiter.acquire_on_behalf_of_nowait("the lender")
        held = Held(Loan(limiter, None))
        loans.set(held.loan)
        monkeypatch.setattr(_tokens, "home_here", lambda: Home(asyncio.get_running_loop(), sent.append))
        task = asyncio.ensure_future(wait_for_token(limiter, object()))
        await waiting(limiter)
        held.give_back()
        assert len(sent) == 1
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert held.loan.borrow(never), "the loan was not given back"
        sent.clear()
        sent.clear()  # it is sent once more
        assert sent == []
        assert not held.is_free()
        held.loan.give_back()
        assert held.is_free()

    asyncio.run(main())


@pytest.mark.parametrize("leaves", ["with a token", "cancelled"])
def test_a_loan_that_is_granted_as_its_task_leaves_is_given_back(leaves: str) -> None:
    """The thread that gives the loan back has chosen the task, which leaves before it is told. proves: A3, A13"""

    async def main() -> None:
        limiter = CapacityLimiter(1)
        limiter.acquire_on_behalf_of_nowait("the lender")
        held = Held(Loan(limiter, None))
        loans.set(held.loan)
        task = asyncio.ensure_future(wait_for_token(limiter, object()))
        await waiting(limiter)
        grant = held.loan._waiters.popleft()  # the first half of `give_back`, on another thread
        if leaves == "cancelled":
            task.cancel()
        else:
            limiter.release_on_behalf_of("the lender")
        await asyncio.wait([task])
        grant()  # the second half
        await turns()
        assert task.cancelled() == (leaves == "cancelled")
        assert held.is_free()

    asyncio.run(main())


class OldScope:
    """As before AnyIO 4.16: a native cancellation that comes in the same step as its own is taken for its own."""

    def __init__(self) -> None:
        self._scope = anyio.CancelScope()
        self.cancel = self._scope.cancel

    def __enter__(self) -> None:
        self._scope.__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> bool:
        try:
            self._scope.__exit__(kind, error, traceback)
        except asyncio.CancelledError:
            return True
        return kind is asyncio.CancelledError


@pytest.mark.parametrize("portal", ["default"], indirect=True)
def test_an_anyio_that_takes_a_native_cancellation_for_its_own_swallows_none_here(
    portal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that is cancelled natively as its loan is granted is cancelled, also where AnyIO's scope says nothing of that.

    proves: A4, A3
    """

    async def main(limiter: CapacityLimiter, held: Held) -> None:
        def act(cancel: Any) -> None:
            held.give_back()
            cancel()

        monkeypatch.setattr(_tokens, "CancelScope", OldScope)
        await call_and_cancel(limiter, "native", act)
        await turns()
        assert held.is_free()

    below_a_lender(portal, main)

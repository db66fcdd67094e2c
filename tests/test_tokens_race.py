"""The race between a free token of the default limiter and a loan of one: one of the two, and never both."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from anyio import CapacityLimiter
from anyio.from_thread import BlockingPortal
from anyio.lowlevel import checkpoint
from anyio.to_thread import current_default_thread_limiter

from gllm_core.concurrency import _tokens, asyncify, syncify
from gllm_core.concurrency._delivery import home_here as current_home
from gllm_core.concurrency._inflight import Loan, loans, open_loan
from gllm_core.concurrency._tokens import wait_for_token
from handshakes import WAIT_S, Gate, turns, waiting


def never() -> None:
    raise AssertionError("nobody gives back what this waits for")


class Held:
    """The lent token, borrowed by the test, which gives it back in the very step that it chooses."""

    def __init__(self, loan: Loan) -> None:
        assert loan.borrow(never)
        self.loan, self._held = loan, True

    def give_back(self) -> None:
        if self._held:
            self._held = False
            self.loan.give_back()

    def is_free(self) -> bool:
        """Whether nobody has the loan. It is to be asked only when nobody could give it back meanwhile."""
        if free := self.loan.borrow(never):
            self.loan.give_back()
        else:
            self.loan.forget(never)
        return free


Main = Callable[[CapacityLimiter, Held], Awaitable[None]]


def below_a_lender(portal: BlockingPortal | None, main: Main) -> None:
    """Run *main* in a syncified call of a function that has the only default token, which lends it to *main*."""

    async def below() -> None:
        limiter = current_default_thread_limiter()
        loan = open_loan(limiter)
        assert loan is not None
        held = Held(loan)
        try:
            with anyio.fail_after(WAIT_S):
                await main(limiter, held)
        finally:
            held.give_back()

    async def lend() -> None:
        limiter = current_default_thread_limiter()
        before, limiter.total_tokens = limiter.total_tokens, 1
        try:
            with anyio.fail_after(2 * WAIT_S):
                await asyncify(syncify(below, portal=portal))()
                while limiter.borrowed_tokens:  # a function's token returns a step after its awaiter
                    await checkpoint()
        finally:
            limiter.total_tokens = before

    syncify(lend, portal=portal)()


def test_a_free_token_ends_the_wait_for_the_loan(portal: BlockingPortal | None) -> None:
    """A call that waits for the lent token runs on another one that gets free first, and leaves the loan alone.

    proves: A13, A3
    """

    async def main(limiter: CapacityLimiter, held: Held) -> None:
        gate = Gate()
        async with anyio.create_task_group() as group:
            group.start_soon(asyncify(gate))
            await waiting(limiter)
            limiter.total_tokens = 2
            await gate.running()
            assert limiter.borrowed_tokens == 2
            held.give_back()
            await turns()
            assert held.is_free()
            gate.leave.set()

    below_a_lender(portal, main)


@pytest.mark.parametrize("first", ["token", "loan"])
def test_token_and_loan_in_the_same_step_are_not_both_taken(portal: BlockingPortal | None, first: str) -> None:
    """Where token and loan come in one step of the loop, the call takes one, and the other is free. proves: A3, A13"""

    async def main(limiter: CapacityLimiter, held: Held) -> None:
        gate = Gate()
        async with anyio.create_task_group() as group:
            group.start_soon(asyncify(gate))
            await waiting(limiter)
            if first == "token":
                limiter.total_tokens = 2
                held.give_back()
            else:
                held.give_back()
                limiter.total_tokens = 2
            await gate.running()
            await turns()
            assert (limiter.borrowed_tokens == 2) == held.is_free()
            gate.leave.set()

    below_a_lender(portal, main)


Cancel = Callable[[], object]


async def call_and_cancel(limiter: CapacityLimiter, how: str, act: Callable[[Cancel], object]) -> None:
    """Let a call wait for token and loan; *act*, in one step, is given what cancels it. Its function must not start."""
    started: list[int] = []
    call = asyncify(started.append)
    if how == "native":
        task = asyncio.ensure_future(call(1))
        await waiting(limiter)
        act(task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(call, 1)
                await waiting(limiter)
                act(scope.cancel)
        assert scope.cancelled_caught
    assert started == []
    assert limiter.statistics().tasks_waiting == 0


every_way = pytest.mark.parametrize(
    ("how", "portal"), [("scope", "default"), ("scope", "trio"), ("native", "default")], indirect=["portal"]
)


@every_way
def test_cancelled_while_it_waits_for_both(portal: BlockingPortal | None, how: str) -> None:
    """A call that is cancelled while it waits for token and loan ends at once, and the loan goes to the next in line.

    proves: A4, A13
    """

    async def main(limiter: CapacityLimiter, held: Held) -> None:
        gate = Gate()
        async with anyio.create_task_group() as group:
            await call_and_cancel(limiter, how, lambda cancel: cancel())
            group.start_soon(asyncify(gate))
            await waiting(limiter)
            held.give_back()
            await gate.running()
            assert (limiter.borrowed_tokens, held.is_free()) == (1, False)
            gate.leave.set()

    below_a_lender(portal, main)


@every_way
@pytest.mark.parametrize("first", ["loan", "cancellation", "news of the loan"])
def test_cancelled_in_the_step_that_grants_the_loan(portal: BlockingPortal | None, how: str, first: str) -> None:
    """A loan that is granted in the step in which its waiter is cancelled is free again; no function runs. proves: A4, A3"""

    async def main(limiter: CapacityLimiter, held: Held) -> None:
        def act(cancel: Cancel) -> None:
            if first == "loan":
                held.give_back()
                cancel()
            elif first == "news of the loan":
                held.give_back()
                current_home().schedule(cancel)
            else:
                cancel()
                held.give_back()

        await call_and_cancel(limiter, how, act)
        await turns()
        assert held.is_free()

    below_a_lender(portal, main)


def test_a_wait_on_a_closed_loop_is_passed_over() -> None:
    """A loan that is given back when the loop of all that wait for it was closed is free: nobody keeps it. proves: A3, A13"""
    limiter = CapacityLimiter(1)
    held = Held(Loan(limiter, None))
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)

    async def begin() -> None:
        limiter.acquire_on_behalf_of_nowait(held)
        loans.set(held.loan)
        kept.extend(asyncio.ensure_future(wait_for_token(limiter, object())) for _ in range(2))
        await waiting(limiter, 2)

    kept: list[Any] = []
    loop.run_until_complete(begin())
    loop.close()
    held.give_back()
    assert held.is_free()


def test_a_loan_that_closes_as_it_is_asked_for_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that finds a loan which its lender closes at that moment waits for a token, and runs on that. proves: A3, A13"""
    limiter, lender, borrower = CapacityLimiter(1), object(), object()
    loan = Loan(limiter, None)

    def close_as_it_is_found(of: CapacityLimiter) -> Loan | None:
        found = open_loan(of)
        loan.close()
        return found

    async def main() -> None:
        limiter.acquire_on_behalf_of_nowait(lender)
        loans.set(loan)
        with anyio.fail_after(WAIT_S):
            async with anyio.create_task_group() as group:
                group.start_soon(wait_for_token, limiter, borrower)
                await waiting(limiter)
                limiter.release_on_behalf_of(lender)
        assert limiter.statistics().borrowers == (borrower,)

    monkeypatch.setattr(_tokens, "open_loan", close_as_it_is_found)
    anyio.run(main)

"""Tokens of the default limiter: a free one, or a loan, whichever comes first."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from anyio import CancelScope, CapacityLimiter
from anyio.lowlevel import checkpoint_if_cancelled

from ._anyio_internals import asyncio, cancellation_watch
from ._delivery import home_here
from ._inflight import Loan, open_loan


def wait_for_token(limiter: CapacityLimiter, borrower: object) -> Coroutine[Any, Any, Loan | None]:
    """Wait for a token of *limiter*, or for a loan of one if this code runs below a function that lends it: which is returned.

    **Cancellation:** ends the wait at once, with neither token nor loan taken.
    """
    loan = open_loan(limiter)
    if loan is not None:
        return _acquire_or_borrow(limiter, borrower, loan)
    return limiter.acquire_on_behalf_of(borrower)  # itself: ten thousand that wait are that many coroutines less


async def _acquire_or_borrow(limiter: CapacityLimiter, borrower: object, loan: Loan) -> Loan | None:
    """Whichever comes first, the token or the loan; never both.

    Whoever takes `granted` has the loan: this task; or, where its loop is closed over it, whoever drops what was sent there;
    or, where another thread was about to grant it as this task left, the news of that.
    """
    granted: list[None] = []
    acquired = waits = False
    race = CancelScope()
    home = home_here()
    cancelled_meanwhile = cancellation_watch()

    def when_free() -> None:  # called on the thread that gives the loan back
        granted.append(None)
        if not home.send(tell):
            granted.clear()
            raise RuntimeError("the loop of the one that waits is closed")

    def tell(on_loop: bool) -> None:
        if on_loop and waits:
            race.cancel()
        elif take(granted):
            loan.give_back()

    if loan.borrow(when_free):
        return loan
    waits = True
    try:
        with race:
            await limiter.acquire_on_behalf_of(borrower)
            acquired = True
        if not acquired:
            await checkpoint_if_cancelled()
            if cancelled_meanwhile is not None and cancelled_meanwhile():
                raise asyncio.CancelledError  # in the very step of the grant: until AnyIO 4.16, the race takes it for its own
    except BaseException:
        waits = False
        loan.forget(when_free)
        if take(granted):
            loan.give_back()
        raise
    if not acquired:
        granted.clear()
        return loan
    waits = False
    loan.forget(when_free)
    if take(granted):
        loan.give_back()
    return None


def take(claim: list[None]) -> bool:
    """Whether this is the one who gets it: popping is atomic."""
    try:
        claim.pop()
    except IndexError:
        return False
    return True

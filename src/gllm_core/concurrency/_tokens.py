"""Tokens of limiters: a free one at once, else whichever comes first, a token or a loan."""

from __future__ import annotations

from anyio import CancelScope, CapacityLimiter, WouldBlock
from anyio.lowlevel import checkpoint_if_cancelled

from ._inflight import Loan, open_loan


async def acquire(limiter: CapacityLimiter, borrower: object, lent: bool) -> Loan | None:
    """Take a token of *limiter*, without waiting if one is free; where *lent* is true, a loan will do.

    **Cancellation:** ends the wait at once, with neither token nor loan taken.
    """
    try:
        limiter.acquire_on_behalf_of_nowait(borrower)
        return None
    except WouldBlock:
        pass
    loan = open_loan(limiter) if lent else None
    if loan is None:
        await limiter.acquire_on_behalf_of(borrower)
        return None
    return await _acquire_or_borrow(limiter, borrower, loan)


async def _acquire_or_borrow(limiter: CapacityLimiter, borrower: object, loan: Loan) -> Loan | None:
    """Whichever comes first, the token or the loan; never both."""
    granted = acquired = False
    race = CancelScope()

    def when_free() -> None:
        nonlocal granted
        granted = True
        race.cancel()

    if loan.borrow(when_free):
        return loan
    try:
        with race:
            await limiter.acquire_on_behalf_of(borrower)
            acquired = True
    except BaseException:
        loan.forget(when_free)
        if granted:
            loan.give_back()
        raise
    if acquired:
        loan.forget(when_free)
        if granted:
            loan.give_back()
        return None
    try:
        await checkpoint_if_cancelled()
    except BaseException:
        loan.give_back()
        raise
    return loan

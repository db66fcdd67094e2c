"""The link between a function on a worker thread and the syncified calls that it makes: cancellation, and the lent token.

Both directions of the bridge meet here, beneath both: asyncify puts a `Job` on the worker thread, syncify finds it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from typing import Protocol

from anyio import CapacityLimiter


class Cancellable(Protocol):
    """What a job cancels: a syncified call in flight. Cancelling twice is cancelling once."""

    def cancel(self) -> None: ...


class Job:
    """One asyncified call, as the calls made below it see it.

    Invariant: a call attached to a job whose awaiter was cancelled gets cancelled, in whatever order the two happen:
    `attach` adds and then looks at the flag, `cancel` sets the flag and then looks at the calls.
    """

    __slots__ = ("_calls", "awaiter_cancelled", "lendable")

    def __init__(self, lendable: CapacityLimiter | None) -> None:
        self.awaiter_cancelled = False
        self.lendable = lendable
        """The default limiter whose token this job runs on; None where the token is never lent."""
        self._calls: tuple[Cancellable, ...] = ()
        """Replaced by the job's own thread only."""

    def attach(self, call: Cancellable) -> None:
        self._calls = (*self._calls, call)
        if self.awaiter_cancelled:
            call.cancel()

    def detach(self, call: Cancellable) -> None:
        self._calls = tuple(attached for attached in self._calls if attached is not call)

    def cancel(self) -> None:
        """The awaiter was cancelled: so are the coroutines that the function waits for."""
        self.awaiter_cancelled = True
        for call in self._calls:
            call.cancel()


class _Current(threading.local):
    job: Job | None = None

    def __reduce__(self) -> str:  # by name, where a wrapper is pickled by value
        return "current"


current = _Current()
"""`current.job` is the job whose function runs on this thread, or None."""


class Loan:
    """The token of a job that is blocked in a syncified call, on loan to the asyncified calls below that call.

    Invariant, under `_lock`: at most one borrower at a time, none after `close`. `close` waits for the borrower, so
    that the lender and the borrower never run at once on the one token (A3).
    """

    __slots__ = ("_borrowed", "_closed", "_lock", "_returned", "_waiters", "limiter", "outer")

    def __init__(self, limiter: CapacityLimiter, outer: Loan | None) -> None:
        self.limiter = limiter
        self.outer = outer
        self._lock = threading.Lock()
        self._borrowed = False
        self._closed = False
        self._waiters: deque[Callable[[], None]] = deque()
        self._returned: threading.Event | None = None

    @property
    def closed(self) -> bool:
        return self._closed

    def borrow(self, when_free: Callable[[], None]) -> bool:
        """Take the token if it is here; otherwise, *when_free* is called once it has been taken for its owner."""
        with self._lock:
            if self._closed:
                return False
            if not self._borrowed:
                self._borrowed = True
                return True
            self._waiters.append(when_free)
            return False

    def forget(self, when_free: Callable[[], None]) -> None:
        """Stop waiting; no harm if the wait is over already."""
        with self._lock:
            if when_free in self._waiters:
                self._waiters.remove(when_free)

    def give_back(self) -> None:
        """The borrower's function has returned: the next in line has the token, or the lender."""
        with self._lock:
            if self._waiters and not self._closed:
                when_free = self._waiters.popleft()
            else:
                when_free = None
                self._borrowed = False
                if self._returned is not None:
                    self._returned.set()
        if when_free is not None:
            try:
                when_free()
            except RuntimeError:  # its loop is closed
                self.give_back()

    def close(self) -> None:
        """The lender's call is over. Blocks while a function that nobody waits for any more still runs on the token."""
        with self._lock:
            self._closed = True
            self._waiters.clear()
            if self._borrowed:
                self._returned = threading.Event()
        if self._returned is not None:
            self._returned.wait()


loans: ContextVar[Loan | None] = ContextVar("gllm_core.concurrency.loans", default=None)
"""The innermost loan that this code may run asyncified calls on."""


def innermost_open_loan() -> Loan | None:
    """The innermost loan that this code runs below; one that is closed is not kept by those that are opened below it."""
    loan = loans.get()
    while loan is not None and loan.closed:
        loan = loan.outer
    return loan


def open_loan(limiter: CapacityLimiter) -> Loan | None:
    """The innermost open loan of a token of *limiter*, if this code runs below a function that lends one."""
    loan = loans.get()
    while loan is not None and (loan.closed or loan.limiter is not limiter):
        loan = loan.outer
    return loan

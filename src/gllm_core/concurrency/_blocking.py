"""What an asyncified call is on every backend: the function and its arguments, then its outcome."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Any

from anyio import CapacityLimiter

from ._anyio_internals import is_cancellation
from ._inflight import Job, Loan, current, loans
from ._log import fields, logger
from ._outcome import raise_unchanged
from ._registry import State, registry
from ._turnstile import Turnstile


class BlockingCall(Job):
    """One asyncified call. It holds a token from when it was acquired until `release`: of *limiter*, by way of *turnstile*
    if the limiter was passed explicitly, or of *loan*.
    """

    __slots__ = (
        "_loan_returned",
        "args",
        "began_at",
        "error",
        "func",
        "has_token",
        "kwargs",
        "limiter",
        "loan",
        "name",
        "thread_id",
        "turnstile",
        "value",
    )

    def __init__(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        name: str,
        limiter: CapacityLimiter,
        turnstile: Turnstile | None,
    ) -> None:
        super().__init__(lendable=limiter if turnstile is None else None)
        self.func: Any = func
        self.args: Any = args
        self.kwargs: Any = kwargs
        self.name = name
        self.limiter = limiter
        self.turnstile = turnstile
        self.loan: Loan | None = None
        self._loan_returned = False
        self.value: Any = None
        self.error: BaseException | None = None
        self.began_at = time.monotonic()
        self.thread_id: int | None = None
        self.has_token = False

    @property
    def state(self) -> State:
        if self.awaiter_cancelled:
            return "cancelling"
        if not self.has_token:
            return "waiting for a token"
        return "queued" if self.thread_id is None else "running"

    def release(self, loop: object) -> None:
        """Give the token back, on the thread of *loop*; None stands for any thread, as a loan needs none, or it is gone."""
        registry.blocking.pop(self, None)
        if self.turnstile is not None:
            self.turnstile.release(self, loop)
        elif self.loan is None:
            with suppress(RuntimeError) if loop is None else nullcontext():  # the limiter tells waiters of the closed loop
                self.limiter.release_on_behalf_of(self)
        elif not self._loan_returned:
            self._loan_returned = True
            self.loan.give_back()

    def release_if_held(self, loop: object) -> None:
        """The same after an interrupt, which may have come before the token was taken, or after it was given back."""
        try:
            held = self.loan is not None or self in self.limiter.statistics().borrowers
        except NotImplementedError:  # a limiter of the user's own, which keeps no statistics
            held = self.has_token
        if held:
            self.release(loop)
        else:
            registry.blocking.pop(self, None)

    def take(self) -> Any:
        """The value; or the error is raised, as the same object, its chain untouched, and no reference kept."""
        error = self.error
        if error is None:
            value, self.value = self.value, None
            return value
        self.error = None
        if issubclass(type(error), StopIteration):
            raise RuntimeError(f"{self.name!r} raised StopIteration, which a coroutine cannot raise") from error
        try:
            raise_unchanged(error)
        finally:
            del error, self

    def error_is_echo(self) -> bool:
        """Whether the function ended just because the cancellation reached it."""
        return is_cancellation(self.error)

    def log_lost_error(self) -> None:
        """The awaiter has left, or takes its cancellation with it: what the function raised goes to the log."""
        error, self.error, self.value = self.error, None, None
        if error is not None and not is_cancellation(error):
            with suppress(Exception):  # a handler that fails must not cost anybody a token
                extra = fields("abandoned_error", call=self.name)
                logger.error("%s raised after its awaiter was cancelled", self.name, exc_info=error, extra=extra)


def _forget_parent() -> None:
    """In a forked child: the awaiter stayed with the parent; its cancellation and its loans mean nothing here."""
    current.job = None
    loans.set(None)
    registry.blocking.clear()
    registry.steps.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)

"""What the harness refuses: a watch that dies of its argument, or never begins, would be a test that passes."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from typing import Any

import anyio
import pytest

from gllm_core.concurrency.testing import LeakError, fresh_portal, must_finish, no_leaks

LIMITER = anyio.CapacityLimiter(1)


@pytest.mark.parametrize(
    ("manager", "error", "says"),
    [
        (must_finish("3"), TypeError, "must_finish() got seconds='3'; pass a number: how long the block may take"),  # type: ignore[arg-type] # is refused
        (must_finish(0), ValueError, "must_finish() got seconds=0; pass more than 0: how long the block may take"),
        (must_finish(-1.0), ValueError, "must_finish() got seconds=-1.0; pass more than 0"),
        (must_finish(float("nan")), ValueError, "must_finish() got seconds=nan; pass more than 0"),
        (no_leaks(patience_s="1"), TypeError, "no_leaks() got patience_s='1'; pass a number: seconds"),  # type: ignore[arg-type] # is refused
        (no_leaks(patience_s=-1), ValueError, "no_leaks() got patience_s=-1; pass 0 or more: seconds"),
        (no_leaks(ignore="("), ValueError, "no_leaks() got ignore='(', which is no regular expression: missing )"),
        (no_leaks(limiters=LIMITER), TypeError, "pass a list of anyio.CapacityLimiter, or None for all there are"),  # type: ignore[arg-type] # is refused
        (no_leaks(limiters=[3]), TypeError, "no_leaks() got 3 in limiters; pass a list of anyio.CapacityLimiter"),  # type: ignore[list-item] # is refused
        (fresh_portal(grace_s=None), TypeError, "fresh_portal() got grace_s=None; pass a number: seconds"),  # type: ignore[arg-type] # is refused
    ],
)
def test_refused(manager: AbstractContextManager[Any], error: type[Exception], says: str) -> None:
    """An argument that makes no sense is refused before the block, with what would."""
    entered = False
    with pytest.raises(error, match=re.escape(says)), manager:
        entered = True
    assert not entered


def test_limiters_may_be_counted_once_only() -> None:
    """Limiters that are given as an iterator are looked at before the block and after it."""
    borrower = object()

    async def main() -> None:
        limiter = anyio.CapacityLimiter(1)
        with pytest.raises(LeakError, match="token 1 of a limiter of 1"), no_leaks(limiters=iter([limiter]), patience_s=0):
            limiter.acquire_on_behalf_of_nowait(borrower)

    anyio.run(main)

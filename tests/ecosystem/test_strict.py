"""Every public name in one program, under Python's development mode with every warning an error, on three loops."""

from __future__ import annotations

import pytest

from ecosystem.children import PROGRAMS, PYTHON, run

# Python 3.12+ warns of every fork beside threads.
STRICT = (*PYTHON, "-W", "error", "-W", "ignore:This process:DeprecationWarning")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop", "trio"])
def test_everything_under_dev_mode(loop: str) -> None:
    """Nothing on stderr, status 0: no ResourceWarning, no coroutine left, no complaint of the loop. proves: A11, P3, P5."""
    forked = [] if loop == "trio" else ["child: 0"]
    run(*STRICT, PROGRAMS / "everything.py", loop).expect(
        "refused: True", *forked, "warned: BlockedLoopWarning ReentrantCallWarning", "unused: []"
    )

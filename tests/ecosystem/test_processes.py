"""multiprocessing by fork, by spawn and by a fork server; the process pool of concurrent.futures on each."""

from __future__ import annotations

import pytest

from ecosystem.children import PROGRAMS, PYTHON, python_path, run

# Python 3.12+ warns of every fork beside threads; forking beside threads is what this is about.
STRICT = (*PYTHON, "-W", "error", "-W", "ignore:This process:DeprecationWarning")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_every_start_method(method: str) -> None:
    """Each child calls in both directions by its own portal and workers and ends with 0; so does a pool, twice over. The
    parent, whose calls were in flight meanwhile, keeps its portal; nobody says a word on stderr. proves: P2, P5.
    """
    ended = run(*STRICT, PROGRAMS / "processes.py", method, env=python_path(PROGRAMS))
    ended.expect(
        "parent parent True",
        "('one', True) ('two', True) ended with 0 0",
        "('one', True) ('two', True) from a pool",
        "parent parent True kept",
    )

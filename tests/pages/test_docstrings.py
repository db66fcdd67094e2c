"""The docstrings of the public names, which the reference is made of."""

from __future__ import annotations

import inspect

import pytest

from docstrings import examples_run
from gllm_core import concurrency

FUNCTIONS = [name for name in concurrency.__all__ if inspect.isfunction(getattr(concurrency, name))]
TELLS_OF_CANCELLATION = [name for name in FUNCTIONS if "ify" in name]


def test_every_public_function_has_an_example_that_runs() -> None:
    """The examples print what the docstrings say, warn of nothing, and leave nothing on stderr."""
    ran = examples_run("gllm_core.concurrency")
    assert list(ran) == FUNCTIONS
    assert all(ran.values()), ran


@pytest.mark.parametrize("name", concurrency.__all__)
def test_every_public_name_says_what_it_is(name: str) -> None:
    """There is a docstring of its own, not one that a base class or a dataclass has lent it."""
    text = vars(getattr(concurrency, name)).get("__doc__") or getattr(concurrency, name).__doc__ or ""
    assert text.strip()
    assert not text.startswith(f"{name}(")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_public_function_tells_of_threads(name: str) -> None:
    """From which threads it may be called, and where it runs."""
    assert "**Threads:**" in (getattr(concurrency, name).__doc__ or "")


@pytest.mark.parametrize("name", TELLS_OF_CANCELLATION)
def test_every_bridge_tells_of_cancellation(name: str) -> None:
    """What a cancellation does, what is raised, and what each argument means."""
    text = getattr(concurrency, name).__doc__ or ""
    assert all(part in text for part in ("**Cancellation:**", "Args:", "Returns:", "Raises:"))

"""The pages about the harness: all Python code in them runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from docstrings import examples_run
from page_tools import USE_THE_HARNESS, assert_runs, named


@pytest.mark.parametrize("page", USE_THE_HARNESS, ids=named)
def test_the_code_of_a_page_runs(page: Path) -> None:
    """Each block runs after those above it, prints what the page shows, and nothing stays on stderr, the exit included."""
    assert_runs(page)


def test_every_function_of_the_harness_has_an_example_that_runs() -> None:
    """The examples in the docstrings print what they say. That of `explore` is a sketch; the page has one that runs."""
    ran = examples_run("gllm_core.concurrency.testing")
    assert {name for name, examples in ran.items() if not examples} <= {"explore"}
    assert {"fresh_portal", "must_finish", "no_leaks", "perturb"} <= ran.keys()

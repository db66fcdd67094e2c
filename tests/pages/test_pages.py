"""The pages of the documentation, and the README: all Python code in them runs, and prints what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from page_tools import PAGES, USE_THE_HARNESS, assert_runs, named, run

RUNS = re.compile(r"^ *```(python|console|output)$", re.MULTILINE)
DOES_NOT_RUN = re.compile(
    r"^ *(?:`{3,}|~{3,})(?:\{code(?:-block)?\} *)?(py|pycon|python3|pytest|ipython|python .*)$", re.MULTILINE
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
SCHEME = re.compile(r"[a-z]+:")


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page not in USE_THE_HARNESS and RUNS.search(page.read_text())], ids=named
)
def test_the_code_of_a_page_runs(page: Path) -> None:
    """Each block runs after those above it, prints what the page shows, and nothing stays on stderr, the exit included."""
    assert_runs(page)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_no_python_on_a_page_is_left_out(page: Path) -> None:
    """A block of Python has the one language that is run: no other name, no attribute hides it from the runner."""
    assert not DOES_NOT_RUN.findall(page.read_text())


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    """What a page links to in this repository is there, as a reader of the files finds it, without the site."""
    links = [link.partition("#")[0] for link in LINK.findall(page.read_text()) if not SCHEME.match(link)]
    assert [link for link in links if link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("```python\nassert False\n```\n", "AssertionError"),
        ("```python\nprint('a')\n```\n```output\nb\n```\n", "the page shows"),
        ("```python\nprint('a')\n```\n", "printed, and not shown"),
        ("```python\nprint('a')  # b\n```\n", "the page shows"),
        ("```python\n# test_it.py\ndef test_it():\n    assert False\n```\n", "test_it.py ended with 1"),
        ("```python\n# it.py\nprint('a')\n```\n```console\n$ python it.py\nb\n```\n", "the page shows"),
        ("```python\nimport warnings\nwarnings.warn('w')\n```\n", "UserWarning: w"),
    ],
    ids=["assertion", "other output", "unshown output", "other comment", "failing test", "other program", "warning"],
)
def test_a_page_that_lies_is_noticed(text: str, complaint: str, tmp_path: Path) -> None:
    """The runner of the pages fails where a page's code fails, or prints something else than the page says."""
    page = tmp_path / "page.md"
    page.write_text(text)
    ran = run(page)
    assert ran.returncode == 1
    assert complaint in ran.stderr

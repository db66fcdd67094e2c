"""The pages of the documentation, and what runs one of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
LIMIT_S = 200.0
"""How long a page may take, in seconds."""

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
USE_THE_HARNESS = [ROOT / "docs" / "harness.md", ROOT / "docs" / "how-to" / "tests.md"]
"""What traces and perturbs: not to be run where coverage traces, as the harness's own tests."""


def named(page: Path) -> str:
    """The page's name in the repository."""
    return page.relative_to(ROOT).as_posix()


def run(page: Path) -> subprocess.CompletedProcess[str]:
    """Run all code of *page*, in an interpreter of its own, where each warning but that of forks is an error."""
    return subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-W",
            "ignore:This process:DeprecationWarning",
            ROOT / "tests" / "page_runner.py",
            page,
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def assert_runs(page: Path) -> None:
    """The page ends well, and wrote nothing to stderr, its interpreter's exit included."""
    ran = run(page)
    assert (ran.returncode, ran.stderr) == (0, ""), f"{ran.stdout}\n{ran.stderr}"

"""The pytest plugin: found through its entry point, inside the tests of somebody else's project."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = """
import os, threading, time
import anyio, pytest
from gllm_core.concurrency import get_default_portal, syncify

def test_leak(no_leaks):
    threading.Thread(target=time.sleep, args=(5,), name="planted", daemon=True).start()

@pytest.mark.no_leaks(patience_s=0.1)
def test_marked_leak():
    threading.Thread(target=time.sleep, args=(3,), name="planted", daemon=True).start()

@pytest.mark.must_finish(0.2)
def test_hang():
    syncify(anyio.sleep_forever)()

def test_portal(fresh_portal):
    assert fresh_portal is get_default_portal()

@pytest.mark.perturb(7)
def test_perturbed():
    assert syncify(anyio.sleep)(0) is None
"""


def run_pytest(folder: Path, tests: str, *options: str) -> str:
    Path(folder, "test_planted.py").write_text(tests)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "--strict-markers", "-p", "no:cacheprovider", "-p", "no:randomly", *options],
        cwd=folder,
        env={**os.environ, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ran.stdout + ran.stderr


def test_fixtures_and_markers(tmp_path: Path) -> None:
    """A planted leak and a planted hang fail, by fixture and by marker; what is sound passes."""
    said = run_pytest(tmp_path, TESTS, "-rA")
    assert "ERROR test_planted.py::test_leak" in said, said
    assert "FAILED test_planted.py::test_marked_leak" in said, said
    assert "thread 'planted'" in said, said
    assert "FAILED test_planted.py::test_hang" in said, said
    assert "calls in flight: sleep_forever" in said, said
    assert "PASSED test_planted.py::test_portal" in said, said
    assert "PASSED test_planted.py::test_perturbed" in said, said


def test_markers_without_what_they_need(tmp_path: Path) -> None:
    """A marker that cannot be used says how it is; options of `schedules` that have no name would be lost in silence."""
    said = run_pytest(
        tmp_path,
        """
import pytest

@pytest.mark.must_finish
def test_no_seconds():
    pass

@pytest.mark.must_finish("30")
def test_no_number():
    pass

@pytest.mark.perturb
def test_no_seed():
    pass

@pytest.mark.no_leaks(patience=1)
def test_no_such_option():
    pass

@pytest.mark.schedules(1)
def test_no_name(explore):
    pass
""",
    )
    assert "missing 1 required positional argument: 'seconds'; mark the test with @pytest.mark.must_finish(seconds)" in said, (
        said
    )
    assert "must_finish() got seconds='30'; pass a number: how long the block may take" in said, said
    assert "missing 1 required positional argument: 'seed'; mark the test with @pytest.mark.perturb(seed)" in said, said
    assert "got an unexpected keyword argument 'patience'; mark the test with @pytest.mark.no_leaks(patience_s=..., " in said, (
        said
    )
    assert "@pytest.mark.schedules got 1 without a name; pass it as in schedules(preemptions=1)" in said, said
    assert "4 failed, 1 error" in said, said


def test_markers_are_listed(tmp_path: Path) -> None:
    """`pytest --markers` says what each is for."""
    said = run_pytest(tmp_path, "", "--markers")
    assert "@pytest.mark.must_finish(seconds): " in said, said
    assert "@pytest.mark.schedules(" in said, said


def test_nothing_is_done_unless_asked(tmp_path: Path) -> None:
    """In tests that use none of it no thread is started, and the explorer and the stress engine are not even imported."""
    said = run_pytest(
        tmp_path,
        """
import sys, threading

def test_nothing():
    assert [t.name for t in threading.enumerate()] == ["MainThread"]
    assert not [m for m in sys.modules if m.startswith("gllm_core.concurrency.testing.") and ("stress" in m or "explore" in m)]
""",
    )
    assert "1 passed" in said, said


def test_importable_without_pytest() -> None:
    """All but the plugin itself works where pytest is not installed."""
    program = """
import sys
sys.modules["pytest"] = None
import gllm_core.concurrency.testing as testing
import gllm_core.concurrency.testing._cli
with testing.no_leaks(), testing.must_finish(10), testing.perturb(1), testing.fresh_portal():
    pass
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_never_imported_by_the_library() -> None:
    """Importing the library imports nothing of the harness."""
    program = "import gllm_core.concurrency, sys; sys.exit(any('testing' in m for m in sys.modules if 'gllm' in m))"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)

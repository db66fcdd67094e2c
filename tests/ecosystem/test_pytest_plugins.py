"""AnyIO's pytest plugin, pytest-asyncio and pytest-xdist side by side, in a project of its own."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from ecosystem.children import run

TESTS = """
import asyncio, os, threading
import anyio, pytest, pytest_asyncio
from gllm_core.concurrency import asyncify, asyncify_iterator, get_default_portal, syncify

@asyncify
def where():
    return threading.current_thread().name

@syncify
async def there():
    return threading.current_thread().name, await where()

def check(names):
    portal, worker = names
    assert portal == "gllm-default-portal" and worker.startswith("gllm-worker-"), names

@pytest.fixture
async def by_anyio(anyio_backend):
    yield await asyncify(str.upper)("anyio")

@pytest_asyncio.fixture
async def by_asyncio():
    yield await asyncify(str.upper)("asyncio")

@pytest.fixture(scope="session")
def portal():
    return get_default_portal()

@pytest.mark.parametrize("turn", range(3))
def test_plain(turn, portal, no_leaks):
    check(there())
    assert get_default_portal() is portal

@pytest.mark.anyio
@pytest.mark.parametrize("turn", range(3))
async def test_anyio(turn, by_anyio, portal):
    assert by_anyio == "ANYIO"
    assert (await where()) != threading.current_thread().name
    assert [item async for item in asyncify_iterator(range)(3)] == [0, 1, 2]
    check(await asyncify(there)())

@pytest.mark.asyncio
@pytest.mark.parametrize("turn", range(3))
async def test_asyncio(turn, by_asyncio, portal):
    assert by_asyncio == "ASYNCIO"
    async with asyncio.timeout(60):
        assert (await asyncio.gather(where(), where()))[0].startswith("gllm-worker-")
    check(await asyncify(there)())
"""

AUTO = """
async def test_unmarked():
    assert (await where()).startswith("gllm-worker-")
"""


def counts(folder: Path, tests: str, *options: str) -> dict[str, int]:
    """How many tests ended in which way; all of pytest's warnings are errors."""
    Path(folder, "test_all_kinds.py").write_text(tests)
    Path(folder, "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    command = [sys.executable, "-X", "dev", "-m", "pytest", "-W", "error", "--strict-markers", "-p", "no:cacheprovider"]
    ended = run(*command, *options, cwd=folder, env={"PYTEST_ADDOPTS": ""})
    assert (ended.status, ended.stderr) == (0, []), str(ended)
    return {kind: int(count) for count, kind in re.findall(r"(\d+) (passed|failed|errors?|skipped|xfailed)", ended.stdout[-1])}


@pytest.mark.parametrize("workers", ["0", "2"])
def test_all_kinds_of_tests_side_by_side(tmp_path: Path, workers: str) -> None:
    """Plain tests, AnyIO's on asyncio and on trio, and pytest-asyncio's: each crosses the bridge, in one process and in two
    of xdist's, and the default portal is one for them all. proves: A11, P5.
    """
    assert counts(tmp_path, TESTS, "-n", workers) == {"passed": 3 + 2 * 3 + 3}


def test_the_auto_mode_of_pytest_asyncio(tmp_path: Path) -> None:
    """In auto mode pytest-asyncio takes the tests that carry no mark. proves: A11."""
    plain = TESTS[: TESTS.index("@pytest.fixture\nasync def by_anyio")]
    assert counts(tmp_path, plain + AUTO, "-o", "asyncio_mode=auto") == {"passed": 1}

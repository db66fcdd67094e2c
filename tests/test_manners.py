"""What the package does to a program that has not used it yet, and how its warnings are silenced or made errors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import gllm_core.concurrency
from gllm_core.concurrency import BlockedLoopWarning, ReentrantCallWarning
from subprocess_tools import COMMON, STRICT, run_program

IMPORT = """
import asyncio, logging, os, signal, sys, threading, warnings

calls = []

if sys.version_info < (3, 14):  # where policies are deprecated
    class Policy(asyncio.DefaultEventLoopPolicy):
        def get_event_loop(self):
            calls.append("get")
            return super().get_event_loop()

        def set_event_loop(self, loop):
            calls.append("set")
            super().set_event_loop(loop)

        def new_event_loop(self):
            calls.append("new")
            return super().new_event_loop()

    asyncio.set_event_loop_policy(Policy())

def state():
    return {
        "threads": threading.enumerate(),
        "policy": sys.version_info < (3, 14) and asyncio.get_event_loop_policy(),
        "loops asked for": list(calls),
        "signals": [signal.getsignal(number) for number in signal.valid_signals()],
        "hooks": [sys.excepthook, sys.unraisablehook, threading.excepthook, sys.displayhook, sys.getprofile(), sys.gettrace()],
        "generator hooks": sys.get_asyncgen_hooks(),
        "switch interval": sys.getswitchinterval(),
        "filters": list(warnings.filters),
        "handlers": [logging.getLogger().handlers, logging.getLogger("gllm_core.concurrency").handlers],
        "level": logging.getLogger("gllm_core.concurrency").level,
        "descriptors": sorted(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else [],
        "environment": dict(os.environ),
    }

import concurrent.futures, anyio  # what they do at their import is theirs
before = state()
import gllm_core.concurrency
after = state()
print([name for name in before if before[name] != after[name]])
print([name for name in ("trio", "uvloop", "pytest", "rich", "gllm_core.concurrency.testing") if name in sys.modules])
"""


@pytest.mark.parametrize("options", [(), STRICT], ids=["plain", "strict"])
def test_an_import_changes_nothing(options: tuple[str, ...]) -> None:
    """No output, thread, warning, loop, policy, signal handler, hook, log handler or open file comes of the import.

    proves: P1
    """
    run_program(IMPORT, options=options).expect("[]", "[]")


@pytest.mark.parametrize("category", [ReentrantCallWarning, BlockedLoopWarning])
def test_every_warning_is_public_and_says_how_to_silence_it(category: type[Warning]) -> None:
    """Each warning class has its public name and module, and a docstring with both one-liners. proves: S8, S9"""
    name = category.__name__
    assert getattr(gllm_core.concurrency, name) is category
    assert name in gllm_core.concurrency.__all__
    assert (category.__module__, category.__qualname__) == ("gllm_core.concurrency", name)
    for action in ("ignore", "error"):
        assert f'warnings.simplefilter("{action}", {name})' in (category.__doc__ or "")


CALLS = """
ran = []
async def coroutine():
    ran.append(1)
async def reentrant():
    syncify(coroutine)()
async def blocked():
    syncify(coroutine)()
def attempt():
    try:
        syncify(reentrant)() if category is ReentrantCallWarning else asyncio.run(blocked())
    except category as warning:
        say("raised", len(ran))
    else:
        say("returned", len(ran))
"""


@pytest.mark.parametrize("name", ["ReentrantCallWarning", "BlockedLoopWarning"])
@pytest.mark.parametrize(("action", "line"), [("ignore", "returned 1"), ("error", "raised 0")])
def test_the_one_liners_work(name: str, action: str, line: str) -> None:
    """The documented line silences the warning, or makes the call raise it before the coroutine runs. proves: S8, S9"""
    program = f'{COMMON}category = {name}\nwarnings.simplefilter("{action}", {name})\n{CALLS}attempt()\n'
    run_program(program).expect(line)


@pytest.mark.parametrize("name", ["ReentrantCallWarning", "BlockedLoopWarning"])
def test_a_line_that_calls_is_warned_of_once(name: str) -> None:
    """With Python's own filters the warning is one of stderr, once for a line that calls twice. proves: S8, S9"""
    finished = run_program(f"{COMMON}category = {name}\n{CALLS}for _ in range(2): attempt()\n")
    assert finished.lines == ["returned 1", "returned 2"]
    assert finished.stderr.count(f"{name}: 'coroutine' ") == 1
    assert finished.stderr.count("Warning") == 1


@pytest.mark.parametrize(
    ("option", "line"),
    [
        ("error::RuntimeWarning", "raised 0"),
        ("error:'coroutine' was called on the thread of the loop", "raised 0"),
        ("ignore:'coroutine' was called on the thread of the loop", "returned 1"),
    ],
)
def test_options_of_the_interpreter(option: str, line: str) -> None:
    """On the command line the warning goes by its message or by RuntimeWarning, as its docstring says. proves: S8"""
    run_program(f"{COMMON}category = ReentrantCallWarning\n{CALLS}attempt()\n", options=("-W", option)).expect(line)


def test_the_interpreter_ignores_an_option_with_our_class() -> None:
    """Its name in `-W` has no effect but a message: Python reads the option before it can import us. proves: S8"""
    option = "error::gllm_core.concurrency.ReentrantCallWarning"
    program = f"{COMMON}category = ReentrantCallWarning\n{CALLS}attempt()\n"
    finished = run_program(program, options=("-W", option))
    assert finished.lines == ["returned 1"]
    assert finished.stderr.startswith("Invalid -W option ignored: ")


def test_pytest_takes_the_full_name(tmp_path: Path) -> None:
    """`pytest -W error::gllm_core.concurrency.ReentrantCallWarning` makes a test fail that warns. proves: S8"""
    Path(tmp_path, "test_it.py").write_text(
        "from gllm_core.concurrency import syncify\n"
        "async def inner(): pass\n"
        "async def outer(): syncify(inner)()\n"
        "def test_it(): syncify(outer)()\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "--rootdir", str(tmp_path)]
    statuses = []
    for option in ("default", "error::gllm_core.concurrency.ReentrantCallWarning"):
        finished = subprocess.run(
            [*command, "-W", option, str(tmp_path)], capture_output=True, text=True, timeout=50, check=False
        )
        statuses.append(finished.returncode)
    assert statuses == [0, 1], finished.stdout
    assert "ReentrantCallWarning: 'inner' was called on the thread of the loop" in finished.stdout

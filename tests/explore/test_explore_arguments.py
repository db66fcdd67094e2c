"""What the explorer refuses: a search that would look at nothing, and then say that it found nothing."""

from __future__ import annotations

import functools
import re
import sys
import threading
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from explore.one_line import step
from gllm_core.concurrency.testing.explore import Kind, Verdict, explore, search
from subprocess_tools import run_program


async def coroutine_function() -> None:
    raise AssertionError


def generator_function() -> Iterator[int]:
    yield 1


async def async_generator_function() -> AsyncIterator[int]:
    yield 1


def one_step() -> None:
    step()


@pytest.mark.parametrize(
    ("scenario", "says"),
    [
        (42, "explore() needs a callable scenario, got 42; pass the function itself, not the result of a call"),
        (
            coroutine_function,
            "explore() got the coroutine function 'coroutine_function'; "
            "pass a function that runs it: asyncio.run(coroutine_function())",
        ),
        (functools.partial(coroutine_function), "explore() got the coroutine function 'coroutine_function'"),
        (
            generator_function,
            "explore() got the generator function 'generator_function', which does not run when it is called; "
            "pass a plain function",
        ),
        (async_generator_function, "explore() got the generator function 'async_generator_function'"),
    ],
)
def test_what_would_not_run(scenario: Any, says: str) -> None:
    """A scenario whose call runs nothing is refused: each of its schedules would pass."""
    with pytest.raises(TypeError, match=re.escape(says)):
        explore(scenario)


def test_a_coroutine_that_nobody_runs() -> None:
    """A scenario that returns a coroutine fails, as it would never run what it is about; that is all that is said of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = search(lambda: coroutine_function())
    assert result.finding is not None
    assert result.finding.kind is Kind.EXCEPTION
    assert "returned the coroutine 'coroutine_function', which nothing runs; use asyncio.run" in result.finding.message


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"preemptions": -1}, ValueError, "got preemptions=-1; pass 0 or more, or None for any number"),
        ({"preemptions": "2"}, TypeError, "got preemptions='2'; pass how many a schedule may have, or None for any number"),
        ({"strategy": "dfs"}, ValueError, "got strategy='dfs'; pass one of 'exhaustive', 'pct', 'random'"),
        ({"faults": ["strat"]}, ValueError, "got the fault 'strat'; there are 'start', 'wake-up', 'timeout'"),
        ({"modules": None}, TypeError, "got modules=None; pass names, as in modules=[...]"),
        ({"modules": threading}, TypeError, f"got {threading!r} in modules; pass 'threading', a string"),
        ({"modules": [3]}, TypeError, "got 3 in modules; pass its name, a string"),
        ({"fresh": 3}, TypeError, "got fresh=3; pass names, as in fresh=[...]"),
        (
            {"modules": ["explore.one_lime"]},
            ValueError,
            "found no module 'explore.one_lime'; pass names as `import` takes them",
        ),
        ({"modules": "no_such_module"}, ValueError, "found no module 'no_such_module'"),
        ({"modules": "no_such.module"}, ValueError, "found no module 'no_such.module'"),
        ({"schedules": "9"}, TypeError, "got schedules='9'; pass a number: how many to run at most"),
        ({"seconds": -1}, ValueError, "got seconds=-1; pass 0 or more: after how many to stop"),
        ({"max_steps": 0}, ValueError, "got max_steps=0; pass more than 0: how many points a schedule may have"),
        ({"stall_s": None}, TypeError, "got stall_s=None; pass a number: how many seconds"),
    ],
)
def test_options(options: dict[str, Any], error: type[Exception], says: str) -> None:
    """An option that there is not is refused, with what there is: left alone, it would be a weaker search."""
    with pytest.raises(error, match=re.escape(f"explore() {says}")):
        explore(one_step, **options)


def test_one_fault_may_be_named_alone() -> None:
    """As a single module may: a string is not taken for its letters."""
    result = search(lambda: threading.Thread(target=step).start(), faults="start")  # type: ignore[arg-type] # one name
    assert result.finding is not None
    assert "can't start new thread" in result.finding.message


def test_a_module_that_does_not_run() -> None:
    """No line of the named modules was met: the verdict stands, and a warning says what it is not about."""
    with pytest.warns(RuntimeWarning, match=r"met no line of modules=\['graphlib'\]") as caught:
        assert search(one_step, modules=["graphlib"]).verdict is Verdict.EXHAUSTED
    assert [warning.filename for warning in caught] == [__file__]


def test_a_module_in_a_package_that_is_not_imported_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The look for a module imports nothing: locks would be made before anything is under control."""
    folder = tmp_path / "package_of_theirs"
    folder.mkdir()
    Path(folder, "__init__.py").write_text("raise AssertionError('imported')")
    monkeypatch.setattr("sys.path", [str(tmp_path), *sys.path])
    with pytest.warns(RuntimeWarning, match=r"met no line of modules=\['package_of_theirs\.counter'\]"):
        search(one_step, modules=["package_of_theirs.counter"])


def test_a_script_that_names_its_own_file(tmp_path: Path) -> None:
    """A script is `__main__`: by the name of its file, no line of it is met, which the warning says."""
    Path(tmp_path, "counter.py").write_text("")
    program = f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        from gllm_core.concurrency.testing.explore import search
        def scenario():
            pass
        search(scenario, modules=["counter"])
        search(scenario, modules=["__main__"])
        """
    ran = run_program(program)
    assert ran.status == 0, ran.stderr
    assert ran.stderr.count("RuntimeWarning: explore() met no line of modules=['counter']") == 1, ran.stderr
    assert "as a script does, which is '__main__'" in ran.stderr


def test_explore_may_be_called_whichever_way_it_was_imported() -> None:
    """`testing.explore` is a function by one import and a package by another; both may be called, and have `search`."""
    program = """
        {first}
        {second}
        assert explore(int).exhausted
        from gllm_core.concurrency.testing.explore import search
        import gllm_core.concurrency.testing.explore as package
        assert package.search is search
        """
    name, package = "from gllm_core.concurrency.testing import explore", "import gllm_core.concurrency.testing.explore"
    for first, second in ((name, package), (package, name)):
        ran = run_program(program.replace("{first}", first).replace("{second}", second))
        assert ran.status == 0, ran.stderr

"""What is no part of the race: calm sections, imports, and the interpreter's own doings."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from explore.catalogue import together
from explore.one_line import step
from gllm_core.concurrency.testing.explore import Kind, Verdict, _patches, calm, search

LINES = ["explore.one_line"]


def _lost_update(first: Callable[[], Any], then: Callable[[], Any]) -> None:
    counter = [0]

    def add() -> None:
        before = counter[0]
        step()
        counter[0] = before + 1

    with first():
        together(add, add)
    counter[0] = 0
    with then():
        together(add, add)
    assert counter == [2]


class _Excited:
    """The opposite of a calm section."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc_info: object) -> None:
        pass


def test_a_calm_section_has_one_schedule() -> None:
    """Inside, nobody is preempted, and who waits is followed by the next in turn; the verdict says so."""
    result = search(lambda: _lost_update(calm, calm), modules=LINES)
    assert result.verdict is Verdict.EXHAUSTED
    assert str(result).startswith("EXHAUSTED <=2, calm sections aside: ")
    assert result.schedules == 1


def test_the_rest_is_explored_as_ever() -> None:
    """What is outside of a calm section has the schedules that it has without one, and its bugs are found."""
    finding = search(lambda: _lost_update(calm, _Excited), modules=LINES).finding
    assert finding is not None
    assert finding.kind is Kind.ASSERTION

    def race(before: Callable[[], Any]) -> None:
        with before():
            together(step, step)
        together(step, step)

    def only() -> None:
        together(step, step)

    plain = search(only, modules=LINES, preemptions=1)
    assert search(lambda: race(calm), modules=LINES, preemptions=1).schedules == plain.schedules
    assert search(lambda: race(_Excited), modules=LINES, preemptions=1).schedules > 2 * plain.schedules
    assert "calm" not in str(plain)


def test_who_was_kept_waiting_may_come_first_afterwards() -> None:
    """The end of a calm section is a scheduling point."""
    firsts: set[str] = set()

    def scenario() -> None:
        order: list[str] = []
        with calm():
            thread = threading.Thread(target=lambda: order.append("thread"))
            thread.start()
        order.append("scenario")
        thread.join()
        firsts.add(order[0])

    assert search(scenario, preemptions=1).exhausted
    assert firsts == {"thread", "scenario"}


def test_a_calm_section_lets_everybody_run() -> None:
    """Three threads that poll for each other do not starve one of them."""

    def scenario() -> None:
        import time

        at = [0]

        def wait_for(turn: int) -> None:
            while at[0] != turn:
                time.sleep(0)
            at[0] += 1

        with calm():
            together(*(lambda turn=turn: wait_for(turn) for turn in (2, 1, 0)))

    assert search(scenario, max_steps=2_000).exhausted


def test_no_fault_happens_in_a_calm_section() -> None:
    """A fault is injected in the race only."""

    def scenario() -> None:
        with calm():
            together(int)

    assert search(scenario, faults=["start", "timeout", "wake-up"]).schedules == 1


def test_calm_outside_of_an_exploration_does_nothing() -> None:
    """A scenario that is run as a plain function works."""
    with calm():
        together(step, step)


@pytest.mark.filterwarnings("ignore:explore.. met no line of modules:RuntimeWarning")  # as is meant
def test_an_import_is_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that is loaded anew has no scheduling point while it is, whatever its code does; afterwards, its lines have."""
    (tmp_path / "loaded.py").write_text(
        "import threading\ndef make():\n    with threading.Lock():\n        return []\n"
        "class Namespace:\n    a = make()\n    b = make()\nvalues = make()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    __import__("loaded")

    def load() -> None:
        assert __import__("loaded").values == []

    def nothing() -> None:
        pass

    empty = search(lambda: together(nothing, nothing), preemptions=1)
    assert search(lambda: together(load, nothing), preemptions=1, modules=["loaded"]).schedules == empty.schedules
    called = search(lambda: together(lambda: __import__("loaded").make(), nothing), preemptions=1, modules=["loaded"])
    assert called.schedules > empty.schedules


class _Looked:
    """What a specialising interpreter speeds up after some runs."""

    value: int | None = None

    @property
    def doubled(self) -> bool:
        return self.value is None

    @property
    def both(self) -> bool:
        return self.value is None and self.doubled


def test_a_line_counts_once_in_each_run() -> None:
    """However often code was run before, and however the interpreter has specialised it, it has the same points."""
    looked = _Looked()

    def scenario() -> None:
        assert looked.both

    first = search(scenario, strategy="random", schedules=1, modules=[__name__])
    many = search(scenario, strategy="random", schedules=100, modules=[__name__])
    assert first.steps == 3
    assert many.steps == 100 * first.steps


def test_identifiers_are_free_only_when_nobody_knows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """`threading` has forgotten a run's threads before any other thread can get one of their identifiers."""
    purge = _patches.purge
    held: list[bool] = []

    def note(run: Any) -> None:
        held.extend(actor.retired.locked() for actor in run.actors)
        purge(run)

    monkeypatch.setattr(_patches, "purge", note)
    assert search(lambda: together(step, step), modules=LINES, preemptions=0).exhausted
    assert len(held) >= 6
    assert all(held)


class _NoCode:
    """A loader as pytest's for what comes with a plugin: it can load a module, and does not show its code."""

    def __init__(self, name: str, path: Path) -> None:
        self._loader = SourceFileLoader(name, str(path))
        self.create_module = self._loader.create_module
        self.exec_module = self._loader.exec_module


def test_a_module_whose_loader_shows_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is loaded anew in one step all the same, from its file."""
    path = tmp_path / "rewritten.py"
    path.write_text("import threading\nlock = threading.Lock()\nwith lock:\n    values = []\n")
    loader: Any = _NoCode("rewritten", path)
    spec = spec_from_file_location("rewritten", path, loader=loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "rewritten", module)
    monkeypatch.syspath_prepend(tmp_path)

    def load() -> None:
        copy = __import__("rewritten")
        assert copy is not module
        copy.values.append(1)
        assert copy.values == [1]

    def nothing() -> None:
        pass

    empty = search(lambda: together(nothing, nothing), preemptions=1)
    loaded = search(lambda: together(load, nothing), preemptions=1, fresh="rewritten")
    assert loaded.exhausted
    assert loaded.schedules == empty.schedules
    assert sys.modules["rewritten"] is module

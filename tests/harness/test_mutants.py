"""Of mutants: a killed one, a survivor and one that hangs are told apart, and the page says what a person has said of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mutants import page
from mutants.reach import Reach, who_runs, who_speaks_of
from mutants.results import Result, Run, Said, load, save, unanswered, verdicts, who_notices
from mutants.trying import KILLED, SURVIVED, TIMED_OUT, outcome_of, try_source

TOY = "def double(x):\n    return 2 * x\n"
TESTS = "from toy import double\n\ndef test_double():\n    assert double(2) == 4\n"
HUNG = "+++++++++++++++ Timeout +++++++++++++++\n~~~ Stack of MainThread ~~~\n+++++++++++++++ Timeout +++++++++++++++\n"


def test_killed_and_survived(tmp_path: Path) -> None:
    """What a test notices is killed, by that test; what none notices survives; the source is as before."""
    path = tmp_path / "src" / "toy.py"
    path.parent.mkdir()
    path.write_text(TOY)
    (tmp_path / "test_toy.py").write_text(TESTS)

    def told(source: str) -> tuple[str, str]:
        return try_source(path, source, tmp_path, ["test_toy.py"], 10.0)[:2]

    assert told(TOY.replace("2 * x", "3 * x")) == (KILLED, "test_toy.py::test_double")
    assert told(TOY.replace("2 * x", "2 + x")) == (SURVIVED, "")
    assert told("import nowhere\n") == (KILLED, "test_toy.py")
    assert path.read_text() == TOY


def test_a_hang_is_told_apart() -> None:
    """A test that takes too long is no failure of it; without any test, nothing is said of the mutant."""
    assert outcome_of(1, HUNG)[0] == TIMED_OUT
    assert outcome_of(1, "FAILED tests/test_x.py::test_y - assert\n") == (KILLED, "tests/test_x.py::test_y")
    assert outcome_of(-11, "Fatal Python error: Segmentation fault\n") == (KILLED, "status -11")
    with pytest.raises(SystemExit, match="no test ran"):
        outcome_of(5, "")


def test_who_runs_the_line() -> None:
    """Those who run the line have a look, in the time that there is; first those that run most of the module."""
    reaches = {
        "tests/test_imports.py": Reach("", 2.0, {"_toy": [1, 2]}),
        "tests/test_most.py": Reach("", 8.0, {"_toy": [1, 2, 3, 4]}),
        "tests/test_other.py": Reach("", 1.0, {"_other": [1, 2]}),
        "tests/test_toy_things.py": Reach("", 20.0, {"_toy": [2, 3]}),
    }
    assert who_runs(reaches, "_toy", 1, {}, 60.0) == ["tests/test_imports.py", "tests/test_most.py"]
    assert who_runs(reaches, "_toy", 3, {}, 60.0) == ["tests/test_most.py", "tests/test_toy_things.py"]
    assert who_runs(reaches, "_toy", 3, {"tests/test_toy_things.py": 0.5}, 20.0) == ["tests/test_toy_things.py"]
    assert who_runs(reaches, "_toy", 9, {}, 60.0) == []


def test_who_speaks_of_the_line() -> None:
    """A word that only one file has counts more than one that all have."""
    texts = {"one": "from toys import double", "other": "from toys import double, triple", "third": "_toy"}
    assert who_speaks_of("-    return triple(double(x))", "_toy", texts) == {"one": 0.5, "other": 1.5, "third": 1.0}


def result(name: str, outcome: str) -> Result:
    return Result(name, "_toy", 2, "number", "@@ -1 +1 @@\n-    return 2\n+    return 3\n", outcome, "", 1.0, 3)


RUN = Run(
    "make mutants SAMPLE=4",
    "a day",
    {"_toy": 25},
    1,
    [result("_toy-1", KILLED), result("_toy-2", SURVIVED), result("_toy-3", SURVIVED), result("_toy-4", TIMED_OUT)],
)


def test_the_page() -> None:
    """Time-outs are counted by themselves; each survivor is shown, with its verdict, or as one that nobody has looked at."""
    text = page.as_markdown(RUN, {"_toy-2": Said("equivalent", "It is the same."), "_toy-1": Said("mended", "By a test.")})
    assert "4 mutants of 25 possible changes: 1 killed, 1 timed out, 2 survived. 1 that were chosen were not reached" in text
    assert "| `_toy` | 25 | 4 | 1 | 1 | 2 |" in text
    equivalent, mended, new = (text.index(f"## {kind}: 1\n") for kind in ("Equivalent", "Mended", "New"))
    assert equivalent < text.index("### _toy-2\n\nIt is the same.\n") < mended < text.index("### _toy-1\n\nBy a test.\n") < new
    assert new < text.index("### _toy-3\n\n```diff\n@@ -1 +1 @@\n-    return 2\n+    return 3\n```")
    assert "_toy-4" not in text


def test_nobody_is_forgotten(tmp_path: Path) -> None:
    """A survivor without a verdict is named, and so is one that is said to be noticed and is not; a verdict has a reason."""
    assert unanswered(RUN, {"_toy-2": Said("open", "Not yet.")}) == ["_toy-3"]
    assert unanswered(RUN, {"_toy-2": Said("mended", "By a test."), "_toy-3": Said("open", "Not yet.")}) == ["_toy-2"]
    file = tmp_path / "verdicts.toml"
    file.write_text('[_toy-2]\nkind = "equivalent"\nwhy = "The same."\n')
    assert verdicts(file) == {"_toy-2": Said("equivalent", "The same.")}
    assert who_notices("_toy-1", {"_toy-1": Said("mended", "By `tests/test_a.py::test_b`.")}) == ["tests/test_a.py"]
    file.write_text('[_toy-2]\nkind = "equivalent"\nwhy = ""\n')
    with pytest.raises(SystemExit, match="_toy-2"):
        verdicts(file)


def test_what_is_kept(tmp_path: Path) -> None:
    """A run that was kept is read as it was."""
    save(RUN, tmp_path / "mutants.json")
    assert load(tmp_path / "mutants.json") == RUN

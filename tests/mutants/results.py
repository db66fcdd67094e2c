"""What came of the mutants, as it is kept; and what a person has said of those that survived."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import NamedTuple

from .trying import SURVIVED

SAID = {
    "equivalent": "No test can notice it: what is promised is the same.",
    "speed only": "It costs time or memory, and nothing else; `make bench` watches that.",
    "another layer": "Not the tests, but somebody else notices it.",
    "no promise": "It changes what nobody was promised.",
    "open": "A test is wanting.",
    "mended": "It survived once; the test that was written for it notices it now.",
    "noticed": "It survived the tests that had a look first; this one, which was there before, notices it.",
}
NOTICED = ("mended", "noticed")


class Result(NamedTuple):
    """A mutant that was tried."""

    name: str
    room: str
    line: int
    operator: str
    diff: str
    outcome: str
    by: str
    seconds: float
    files: int
    """How many files of tests had a look."""


class Run(NamedTuple):
    """What was asked for, and what came of it."""

    command: str
    about: str
    possible: dict[str, int]
    """By room: how many changes there are."""
    not_reached: int
    results: list[Result]


class Said(NamedTuple):
    """A person's verdict: a kind, which is one of `SAID`, and the reason."""

    kind: str
    why: str


def save(run: Run, path: Path) -> None:
    results = [result._asdict() for result in run.results]
    path.write_text(json.dumps({**run._asdict(), "results": results}, indent=1) + "\n")


def load(path: Path) -> Run:
    fields = json.loads(path.read_text())
    return Run(**{**fields, "results": [Result(**result) for result in fields["results"]]})


def verdicts(path: Path) -> dict[str, Said]:
    """By the names of the mutants."""
    said = {name: Said(**fields) for name, fields in tomllib.loads(path.read_text()).items()}
    odd = [name for name, (kind, why) in said.items() if kind not in SAID or not why]
    if odd:
        raise SystemExit(f"{path.name}: {', '.join(odd)}: the kind is one of {', '.join(SAID)}, and there is a reason")
    return said


def unanswered(run: Run, said: dict[str, Said]) -> list[str]:
    """Survivors of which nobody has said anything, and mutants that are said to be noticed now, and are not."""
    missing = [result for result in run.results if result.outcome == SURVIVED and result.name not in said]
    untrue = [result for result in run.results if result.outcome == SURVIVED and is_noticed(result, said)]
    return [result.name for result in (*missing, *untrue)]


def is_noticed(result: Result, said: dict[str, Said]) -> bool:
    return result.name in said and said[result.name].kind in NOTICED


def who_notices(name: str, said: dict[str, Said]) -> list[str]:
    """The files of tests that the verdict names: they have a look before all others."""
    return re.findall(r"tests/test_\w+\.py", said[name].why) if name in said else []

"""Mutants of one module: each is its source with one change, and a name that stays when other lines move."""

from __future__ import annotations

import ast
import hashlib
import random
from collections import defaultdict
from collections.abc import Collection, Iterator
from difflib import unified_diff
from itertools import zip_longest
from typing import NamedTuple

from .operators import Change, Node, changes


class Mutant(NamedTuple):
    """One change of one room."""

    name: str
    room: str
    line: int
    operator: str
    diff: str
    source: str

    @property
    def changed(self) -> str:
        """The lines that are others, as they were and as they are."""
        return "\n".join(line for line in self.diff.splitlines() if line.startswith(("+", "-")))


class Room:
    """A module, and all that may be changed in it."""

    def __init__(self, name: str, source: str) -> None:
        self.name = name
        self.source = source
        self._module, self._changes = changes(source)
        self._original = ast.dump(ast.parse(source))

    def __len__(self) -> int:
        """How many changes there are. A few of them are the same, or no Python, and make no mutant."""
        return len(self._changes)

    def every(self, nth: int) -> Iterator[Mutant]:
        yield from self._mutants(self._changes[::nth])

    def named(self, names: Collection[str], lines: Collection[int]) -> Iterator[Mutant]:
        """Those of these *names*; on these *lines*, if they are still there: a mutant's name is known when it is made only."""
        there = [change for change in self._changes if change.line in lines]
        found = [mutant for mutant in self._mutants(there) if mutant.name in names]
        if len(found) < len(names):
            found = [mutant for mutant in self._mutants(self._changes) if mutant.name in names]
        yield from found

    def in_random_order(self, seed: int) -> Iterator[Mutant]:
        """One of each operator, then another one of each: there are ten arguments to leave out for each lock not to take."""
        chance = random.Random(f"{seed} {self.name}")
        by_operator: dict[str, list[Change]] = defaultdict(list)
        for change in self._changes:
            by_operator[change.operator].append(change)
        groups = list(by_operator.values())
        chance.shuffle(groups)
        for group in groups:
            chance.shuffle(group)
        yield from self._mutants([change for row in zip_longest(*groups) for change in row if change is not None])

    def _mutants(self, chosen: list[Change]) -> Iterator[Mutant]:
        names = set()
        for change in chosen:
            source = replaced(self._module, change)
            try:
                same = ast.dump(ast.parse(source)) == self._original
                compile(source, self.name, "exec")
            except SyntaxError:
                continue
            diff = difference(self.source, source)
            name = name_of(self.name, diff)
            if not same and name not in names:
                names.add(name)
                yield Mutant(name, self.name, change.line, change.operator, diff, source)


def replaced(module: Node, change: Change) -> str:
    return str(module.deep_replace(change.old, change.new).code)


def difference(before: str, after: str) -> str:
    lines = list(unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2))[2:]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def name_of(room: str, diff: str) -> str:
    """Without the numbers of the lines, which another change moves."""
    lines = [line for line in diff.splitlines() if not line.startswith("@@")]
    return f"{room}-{hashlib.sha256('|'.join(lines).encode()).hexdigest()[:8]}"

"""A machine's changes are the ones that are said to be made, one at a time, and nothing else changes."""

from __future__ import annotations

from collections import defaultdict
from textwrap import dedent

from mutants.making import Room

SOURCE = '''
"""A toy."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nowhere import Nobody


class Toy:
    """It has two of everything."""

    __slots__ = ("a", "b")

    def close(self, wait: bool) -> int:
        """Words in a docstring are left alone."""
        with self.lock:
            self.a = 1
        try:
            if wait and self.b is None:
                self.stop()
            self.join()
        except OSError:
            raise ValueError("words for a person") from None
        finally:
            self.b = "name"
        return 2  # a comment
'''


def by_operator(source: str) -> dict[str, list[str]]:
    """The lines that each mutant has instead of others."""
    found: dict[str, list[str]] = defaultdict(list)
    for mutant in Room("toy", source).every(1):
        lines = [line for line in mutant.diff.splitlines() if not line.startswith(("@@", " "))]
        found[mutant.operator].append(" / ".join(line[0] + line[1:].strip() for line in lines))
    return found


def test_each_operator() -> None:
    """Every kind of change is made, where it can be made."""
    found = by_operator(SOURCE)
    assert found["drop with"] == ["-with self.lock: / -self.a = 1 / +self.a = 1"]
    assert found["swap op"] == ["-if wait and self.b is None: / +if wait or self.b is None:"]
    assert found["keywords"] == ["-if wait and self.b is None: / +if wait and self.b is not None:"]
    assert found["condition True"] == ["-if wait and self.b is None: / +if True:"]
    assert found["condition False"] == ["-if wait and self.b is None: / +if False:"]
    assert found["number"] == ["-self.a = 1 / +self.a = 2", "-return 2  # a comment / +return 3  # a comment"]
    assert "-self.stop() / +pass" in found["delete"]
    assert "-self.join()" in found["delete"]
    assert "-return 2  # a comment" in found["delete"]


def test_neighbours_are_swapped() -> None:
    """Two statements change places, with what stands in them; nobody is put behind a `return`."""
    found = by_operator("def f():\n    a()\n    for b in c():\n        b()\n    return d()\n")
    assert found["swap"] == ["-a() / +a()"]


def test_what_is_protected_is_not_any_more() -> None:
    """Without its `finally`, the clean-up comes after; without its `except`, an exception goes on."""
    source = dedent("""\
        def f():
            try:
                a()
            finally:
                b()
    """)
    (mutant,) = [mutant for mutant in Room("toy", source).every(1) if mutant.operator == "drop finally"]
    assert mutant.source == "def f():\n    a()\n    b()\n"
    source = source.replace("finally", "except OSError")
    (mutant,) = [mutant for mutant in Room("toy", source).every(1) if mutant.operator == "drop except"]
    assert mutant.source == "def f():\n    a()\n"


def test_what_is_left_alone() -> None:
    """Words, imports, slots and what only type checkers read stay as they are."""
    changed = [line for lines in by_operator(SOURCE).values() for line in lines]
    assert not [line for line in changed if any(word in line for word in ("Words", "nowhere", "slots", "TYPE_CHECKING"))]
    assert not [line for line in changed if "XXwords" in line]
    assert '-self.b = "name" / +self.b = "XXnameXX"' in changed


def test_names_stay() -> None:
    """A mutant keeps its name when lines before it are added; mutants of one room have different names."""
    before = [mutant.name for mutant in Room("toy", SOURCE).every(1)]
    after = [mutant.name for mutant in Room("toy", "# one more\n# line\n" + SOURCE).every(1)]
    assert len(set(before)) == len(before) > 20
    assert set(before) == set(after)
    room = Room("toy", "# one more\n" + SOURCE)
    assert [mutant.name for mutant in room.named({before[3]}, {1})] == [before[3]]
    assert [mutant.name for mutant in room.named({before[3]}, set(range(99)))] == [before[3]]


def test_a_seed_chooses_the_same_again() -> None:
    """The sample begins with one of each operator, and is the same whenever the seed is."""
    room = Room("toy", SOURCE)
    once, again, other = ([mutant.name for mutant in room.in_random_order(seed)] for seed in (1, 1, 2))
    assert once == again != other
    operators = {mutant.operator for mutant in room.every(1)}
    first = [mutant.operator for mutant in room.in_random_order(1)][: len(operators)]
    assert len(set(first)) >= len(operators) - 1

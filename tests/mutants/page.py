"""The page about the mutants: what was tried, room by room, and each survivor with what is to be said of it."""

from __future__ import annotations

from collections import Counter

from .results import NOTICED, SAID, Result, Run, Said
from .trying import KILLED, SURVIVED, TIMED_OUT

HEAD = """---
orphan: true
---

# Mutants: what a machine changes, and who notices

A second opinion on the tests: sabotage breaks what somebody has thought of, a machine breaks what comes. One change at a time
is made in a copy of the source: mutmut's operators (another operator, constant or keyword; None for a value or an argument; an
argument less), statements that are deleted, or swapped with the next one; conditions that always or never hold; and `with`,
`finally` and `except` dropped around what they stand for. Words for a person, and what is for type checkers, are left alone.

The tests that run the changed line are run, up to a minute's worth of them: those that speak of it, or run most of its module.
Schedules and stress have no look. A mutant on which a test hangs is counted by itself: a hang is noticed, but not by what a
test says.

"""


def as_markdown(run: Run, said: dict[str, Said]) -> str:
    return HEAD + "\n".join([*summary(run), "", *table(run), "", *survivors(run, said)]).rstrip() + "\n"


def summary(run: Run) -> list[str]:
    outcomes = Counter(result.outcome for result in run.results)
    missed = f" {run.not_reached} that were chosen were not reached in that time." if run.not_reached else ""
    return [
        f"`{run.command}`: {run.about}. {len(run.results)} mutants of {sum(run.possible.values()):,} possible changes: "
        f"{outcomes[KILLED]} killed, {outcomes[TIMED_OUT]} timed out, {outcomes[SURVIVED]} survived.{missed}"
    ]


def table(run: Run) -> list[str]:
    lines = ["| module | possible | tried | killed | timed out | survived |", "|---|---:|---:|---:|---:|---:|"]
    for room, possible in sorted(run.possible.items()):
        outcomes = Counter(result.outcome for result in run.results if result.room == room)
        cells = (possible, outcomes.total(), outcomes[KILLED], outcomes[TIMED_OUT], outcomes[SURVIVED])
        lines.append(f"| `{room}` | {' | '.join(map(str, cells))} |")
    return lines


def survivors(run: Run, said: dict[str, Said]) -> list[str]:
    lines: list[str] = []
    for kind, means in {**SAID, "": "Nobody has looked at it yet."}.items():
        of_kind = [
            result
            for result in run.results
            if (result.outcome != SURVIVED) == (kind in NOTICED)
            and (said[result.name].kind if result.name in said else "") == kind
        ]
        if of_kind:
            lines += [f"## {kind.capitalize() or 'New'}: {len(of_kind)}", "", means, ""]
            for result in of_kind:
                lines += entry(result, said.get(result.name))
    return lines


def entry(result: Result, said: Said | None) -> list[str]:
    why = [said.why, ""] if said is not None else []
    return [f"### {result.name}", "", *why, "```diff", result.diff.rstrip(), "```", ""]

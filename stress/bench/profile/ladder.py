"""The words of the profile: ladders, their steps, and what each step adds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ..model import AGAIN, Result, Spread, Workload, spread

Figures = list[float]
"""One for each round."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A bar, as a figure that the whole call should stay below."""

    name: str
    """That of the bar, in `bars`; or what it would be called there."""
    says: str
    figures: Callable[[Result], Figures]


@dataclass(frozen=True, slots=True)
class Ladder:
    """A workload whose candidates are steps: the whole call first, as the reference of each round; then the steps ("floor"),
    from the bottom up; then what is shown beside them ("peer").
    """

    workload: Workload
    goal: Goal
    limit: str
    """What the ladder shows: where the limit is, and why the call does not go below it."""
    patience: float = 1.0
    """So many times the time that other ladders are given."""
    widths: tuple[int, int] | None = None
    """Where what counts is how a step grows: each is measured with so few and with so many calls in flight."""

    @property
    def name(self) -> str:
        return self.workload.name


@dataclass(frozen=True, slots=True)
class Row:
    """A step, the bar, or what stands beside; `adds` is what a step takes beyond the one below it."""

    name: str
    kind: Literal["step", "whole", "bar", "beside"]
    shown: tuple[float, ...]
    adds: Spread | None


def at(name: str, width: int) -> str:
    """What a candidate is called that has *width* calls in flight."""
    return f"{name}, {width:,} in flight"


def times(factor: float, candidate: str) -> Callable[[Result], Figures]:
    return lambda result: [factor * figure for figure in result.per_call[candidate]]


def rows(ladder: Ladder, result: Result) -> list[Row]:
    """The ladder as it is read: the steps from the bottom up, the whole call, its bar, and what stands beside them."""
    names = [name for name in _names(ladder, result) if not name.endswith(AGAIN)]
    whole, *others = names
    steps = [name for name in others if _role(ladder, result, name) == "floor"]
    found: list[Row] = []
    below: Figures | None = None
    for name in [*steps, whole]:
        figures = _figures(ladder, result, name)
        added = figures if below is None else [mine - its for mine, its in zip(figures, below, strict=True)]
        found.append(Row(name, "whole" if name == whole else "step", _shown(ladder, result, name), spread(added)))
        below = figures
    goal = ladder.goal.figures(result)
    found.append(Row(ladder.goal.says, "bar", (spread(goal).median,), None))
    found += [Row(name, "beside", _shown(ladder, result, name), None) for name in others if name not in steps]
    return found


def noise(result: Result) -> Spread:
    """What the whole call takes beyond itself, measured again at the end of each round."""
    first, again = result.per_call[result.reference], result.per_call[result.reference + AGAIN]
    return spread([later - before for before, later in zip(first, again, strict=True)])


def _names(ladder: Ladder, result: Result) -> list[str]:
    if ladder.widths is None:
        return list(result.per_call)
    ending = at("", ladder.widths[0])
    return [name.removesuffix(ending) for name in result.per_call if name.endswith(ending)]


def _role(ladder: Ladder, result: Result, name: str) -> str:
    return result.roles[name if ladder.widths is None else at(name, ladder.widths[0])]


def _figures(ladder: Ladder, result: Result, name: str) -> Figures:
    if ladder.widths is None:
        return result.per_call[name]
    few, many = (result.per_call[at(name, width)] for width in ladder.widths)
    return [much - little for little, much in zip(few, many, strict=True)]


def _shown(ladder: Ladder, result: Result, name: str) -> tuple[float, ...]:
    grown = spread(_figures(ladder, result, name)).median
    if ladder.widths is None:
        return (grown,)
    few, many = (result.cost(at(name, width)).median for width in ladder.widths)
    return (few, many, grown)

"""The words of the benchmark: candidates, workloads, and what was measured."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

Role = Literal["ours", "peer", "floor"]
Setting = Literal["pinned", "free"]
SETTINGS: tuple[Setting, ...] = ("pinned", "free")

AGAIN = " (again)"
"""Ends the name of the reference's second listing: its ratio to the first is the noise."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to make the calls. `measure(n)` makes *n* of them and returns what they cost together."""

    name: str
    role: Role
    measure: Callable[[int], float]


@dataclass(frozen=True, slots=True)
class Workload:
    """Calls to be made, and the candidates to make them; the first candidate is the reference."""

    name: str
    says: str
    open: Callable[[], AbstractContextManager[list[Candidate]]]
    grain: int = 1
    """Calls are made in multiples of this number."""
    grow: bool = True
    """Whether a measurement may repeat the grain to fill its share of the time."""
    unit: Literal["us", "bytes"] = "us"
    growth: bool = False
    """Whether the ratio of interest is candidate / reference, not reference / candidate."""
    settings: tuple[Setting, ...] = SETTINGS


@dataclass(frozen=True, slots=True)
class Spread:
    """A median between the quartiles."""

    low: float
    median: float
    high: float


@dataclass(frozen=True, slots=True)
class Result:
    """One workload in one setting: the cost per call of each candidate, round by round, in seconds or bytes."""

    workload: str
    says: str
    setting: Setting
    unit: str
    growth: bool
    per_call: dict[str, list[float]]
    roles: dict[str, Role]

    @property
    def reference(self) -> str:
        return next(iter(self.per_call))

    def cost(self, name: str) -> Spread:
        return spread(self.per_call[name])

    def ratio(self, name: str) -> Spread:
        """What the reference costs for each unit of *name* (growth: the other way round), taken in each round."""
        pairs = zip(self.per_call[self.reference], self.per_call[name], strict=True)
        return spread([theirs / ours if self.growth else ours / theirs for ours, theirs in pairs])


def spread(figures: list[float]) -> Spread:
    if len(figures) == 1:
        return Spread(figures[0], figures[0], figures[0])
    low, median, high = statistics.quantiles(figures, n=4, method="inclusive")
    return Spread(low, median, high)

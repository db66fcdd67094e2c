"""A campaign: shards of all scenarios in turn, until the time is over; what came of them, added up."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from .._farm import Farm, Workers
from .shard import Shard, ShardResult, run_shard

ROUNDS_OF_A_SHARD = 1_000_000
"""No shard runs more rounds than that, so that rounds of different shards have different numbers."""

COUNTED_ROUNDS = 20
"""How many rounds a shard has where they are counted, and not timed."""

LONGEST_S = 3600.0
"""How long such a shard takes at most, in seconds."""

SHORTEST_SLICE_S = 0.5
LONGEST_SLICE_S = 10.0


@dataclass
class Tally:
    """What one scenario has come to."""

    name: str
    says: str
    rounds: int = 0
    operations: int = 0
    outcomes: Counter[str] = field(default_factory=Counter[str])
    faults: Counter[str] = field(default_factory=Counter[str])
    violations: int = 0
    leaks: int = 0
    hangs: int = 0
    shards: int = 0
    grown: int = 0
    highest: int = 0
    slowest_s: float = 0.0
    bad: list[ShardResult] = field(default_factory=list[ShardResult])

    def add(self, result: ShardResult) -> None:
        self.rounds += result.rounds
        self.operations += result.operations
        self.outcomes.update(result.outcomes)
        self.faults.update(result.faults)
        self.violations += len(result.violations)
        self.leaks += len(result.leaks)
        self.hangs += result.hang is not None
        self.shards += 1
        self.highest = max(self.highest, result.highest)
        self.grown = max(self.grown, result.grown)
        self.slowest_s = max(self.slowest_s, result.slowest_s)
        if result.bad:
            self.bad.append(result)


@dataclass(frozen=True)
class Plan:
    """What a campaign is to do. All times in seconds; `slice_s` None stands for what fits `seconds`."""

    scenarios: tuple[tuple[str, str], ...]
    """Name and description of each."""
    seed: int
    seconds: float
    limit_s: float
    jobs: int
    slice_s: float | None = None
    round: int | None = None
    """The only round to run, again and again."""
    rounds: int | None = None
    """So many rounds of each scenario, whatever the time."""

    @property
    def length(self) -> str:
        """How long it takes, for a person."""
        return f"{self.seconds:g} s" if self.rounds is None else f"{self.rounds} rounds each"

    def slice(self) -> float:
        if self.slice_s is not None:
            return self.slice_s
        fair_s = self.seconds * self.jobs / len(self.scenarios) / 2
        return min(max(fair_s, SHORTEST_SLICE_S), LONGEST_SLICE_S)


def run(plan: Plan, tallies: dict[str, Tally], workers: Workers, progress: Callable[[list[Tally]], object]) -> None:
    """Keep *workers* busy with shards, and add them up in *tallies*. A scenario that has failed gets no more of them."""
    deadline = time.monotonic() + plan.seconds
    shards = _shards(plan, tallies, deadline) if plan.rounds is None else _counted(plan, plan.rounds, tallies)
    conduct(tallies, lambda: next(shards, None), workers, progress)


def conduct(
    tallies: dict[str, Tally],
    following: Callable[[], Shard | None],
    workers: Workers,
    progress: Callable[[list[Tally]], object],
) -> None:
    """Run what *following* asks for until there is no more, and add it up."""

    def take(result: ShardResult) -> None:
        tallies[result.shard.scenario].add(result)

    Farm(workers).run(run_shard, following, take, lambda: progress(list(tallies.values())))


def _counted(plan: Plan, rounds: int, tallies: dict[str, Tally]) -> Iterator[Shard]:
    """The same rounds of every scenario, however many workers share them."""
    for first in range(0, rounds, COUNTED_ROUNDS):
        for name, _ in plan.scenarios:
            if not tallies[name].bad:
                many = min(COUNTED_ROUNDS, rounds - first)
                yield Shard(name, plan.seed, first, LONGEST_S, plan.limit_s, rounds=many)


def _shards(plan: Plan, tallies: dict[str, Tally], deadline: float) -> Iterator[Shard]:
    """Every scenario gets one shard, whatever the time; then as many as there is time for."""
    names: Iterable[str] = [name for name, _ in plan.scenarios]
    for turn in itertools.count():
        for name in names:
            left_s = deadline - time.monotonic()
            if turn > 0 and left_s < SHORTEST_SLICE_S:
                return
            if not tallies[name].bad:
                seconds = max(min(plan.slice(), left_s), SHORTEST_SLICE_S)
                first = turn * ROUNDS_OF_A_SHARD if plan.round is None else plan.round
                yield Shard(name, plan.seed, first, seconds, plan.limit_s, again=plan.round is not None)
        if all(tally.bad for tally in tallies.values()):
            return

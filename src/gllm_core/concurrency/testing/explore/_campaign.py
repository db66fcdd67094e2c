"""An exploration larger than one process: shards by prefix of the schedule tree, or by seed, and one result for each scenario.

Which prefixes go into which shard depends on the machine; the schedules do not. Each is run by the one shard that has its
prefix, so an exhausted exploration counts the same on one core and on a hundred.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from .._farm import Farm, Workers
from ._report import Finding, Kind
from ._shard import Exploration, Shard, ShardResult, run_shard
from ._strategies import Frontier, whole_tree

FIRST_S = 1.5
"""How long a scenario's first shard takes at most, so that the others get a part of it soon; in seconds."""

QUANTUM_S = 8.0
"""How long any other shard takes at most, in seconds."""

MOST_S = 600.0
"""How long one that samples takes at most, in seconds: it cannot hand back what is left."""

MOST_PREFIXES = 500
SAMPLES = 500
"""How many schedules a shard samples, with a seed of its own: the same samples, however many workers there are. To start one
costs as much as some thirty of them.
"""


@dataclass
class Explored:
    """What has come of one exploration so far."""

    exploration: Exploration
    schedules: int = 0
    steps: int = 0
    shards: int = 0
    seconds: float = 0.0
    """Of all shards together."""
    finding: Finding | None = None
    hang: str | None = None
    died: str | None = None
    calm: bool = False
    running: int = 0
    given: float = 0.0
    """Seconds that were given to shards: who has had least is next."""
    pending: Frontier = field(default_factory=whole_tree)
    unsampled: list[int] = field(default_factory=list[int])
    """The numbers of the shards of samples that are to be run."""

    def __post_init__(self) -> None:
        sampled = self.exploration.sampled
        if sampled is not None:
            self.pending = []
            self.unsampled = list(range(-(-sampled // SAMPLES)))

    @property
    def failed(self) -> bool:
        return self.finding is not None or self.hang is not None or self.died is not None

    @property
    def waits(self) -> bool:
        """Whether there is something to do that nobody does."""
        return not self.failed and bool(any(self.pending) or self.unsampled)

    @property
    def bound(self) -> str:
        """Which schedules an exhausted exploration speaks of: those with so many preemptions at most."""
        preemptions = self.exploration.preemptions
        bound = "PCT" if self.exploration.sampled is not None else "none" if preemptions is None else f"<={preemptions}"
        return f"{bound}, calm aside" if self.calm else bound

    @property
    def verdict(self) -> str:
        """Only EXHAUSTED says that no schedule within the bound fails."""
        if self.hang is not None:
            return "HUNG"
        if self.failed:
            return "FAILED"
        sampled = self.exploration.sampled
        if self.running or self.waits or (sampled is not None and self.schedules < sampled):
            return "BUDGET"
        return "EXHAUSTED" if sampled is None else "SAMPLED"

    def add(self, result: ShardResult) -> None:
        """Of two findings, the one that departs least from the plain schedule stays."""
        self.running -= 1
        self.schedules += result.schedules
        self.steps += result.steps
        self.seconds += result.seconds
        self.calm = self.calm or result.calm
        self.hang = self.hang or result.hang
        self.died = self.died or result.died
        if result.finding is not None and (self.finding is None or _cost(result.finding) < _cost(self.finding)):
            self.finding = result.finding
        for level, prefixes in enumerate(result.rest):
            while len(self.pending) <= level:
                self.pending.append([])
            self.pending[level] += prefixes


def _cost(finding: Finding) -> tuple[bool, int, str]:
    uncertain = finding.kind in (Kind.DIVERGED, Kind.UNCONTROLLED)
    return uncertain, finding.schedule.count(","), finding.schedule


@dataclass
class Campaign:
    """Several explorations on the same workers; those that have had the least time come first."""

    explorations: Iterable[Exploration]
    seconds: float | None = None
    """No shard begins later, save each exploration's first."""
    limit_s: float = 60.0
    work: Callable[[Shard], ShardResult] = run_shard
    lost: int = 0
    workers: dict[str, int] = field(default_factory=dict[str, int])
    """How many shards each worker has run."""

    def __post_init__(self) -> None:
        self.all = [Explored(exploration) for exploration in self.explorations]
        self._deadline = None if self.seconds is None else time.monotonic() + self.seconds

    def run(self, workers: Workers, progress: Callable[[Sequence[Explored]], object]) -> list[Explored]:
        """Explore until all is done, or the time is over. *progress* is called about once a second."""
        farm = Farm(workers)

        def following() -> Shard | None:
            return self._following(workers.slots)

        def tick() -> None:
            self.lost = farm.lost
            progress(self.all)

        farm.run(self.work, following, self._take, tick)
        return self.all

    def _take(self, result: ShardResult) -> None:
        self.all[result.key].add(result)
        self.workers[result.worker] = self.workers.get(result.worker, 0) + 1

    def _following(self, slots: int) -> Shard | None:
        left_s = float("inf") if self._deadline is None else self._deadline - time.monotonic()
        waiting = [explored for explored in self.all if explored.waits and (left_s > 0 or explored.given == 0)]
        if not waiting:
            return None
        chosen = min(waiting, key=lambda explored: explored.given)
        seconds = max(FIRST_S, min(QUANTUM_S if chosen.given else FIRST_S, left_s))
        chosen.running += 1
        chosen.given += seconds
        key = self.all.index(chosen)
        exploration = chosen.exploration
        chosen.shards += 1
        if exploration.sampled is not None:
            return self._samples(key, exploration, chosen.unsampled.pop(0), left_s)
        return Shard(key, exploration, _part(chosen.pending, slots), seconds=seconds, limit_s=self.limit_s)

    def _samples(self, key: int, exploration: Exploration, number: int, left_s: float) -> Shard:
        assert exploration.sampled is not None
        many = min(SAMPLES, exploration.sampled - number * SAMPLES)
        seed = exploration.seed * 1_000_000 + number
        seconds = max(FIRST_S, min(left_s, MOST_S))
        return Shard(key, exploration, samples=many, seed=seed, seconds=seconds, limit_s=self.limit_s)


def _part(pending: Frontier, slots: int) -> Frontier:
    """Some prefixes, of those with the fewest preemptions, which are no longer pending."""
    level = next(number for number, prefixes in enumerate(pending) if prefixes)
    prefixes = pending[level]
    many = min(MOST_PREFIXES, -(-len(prefixes) // slots))
    part, pending[level] = prefixes[-many:], prefixes[:-many]
    return [*([] for _ in range(level)), part]

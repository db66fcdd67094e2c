"""Which schedules are run: all within a bound, samples, or a recorded one."""

from __future__ import annotations

import random
from typing import NamedTuple

from ._choices import Choice, DivergedError, Recording


class Work(NamedTuple):
    """A schedule to run: as far as `position` like an earlier run, there `index`, then the first option each time."""

    choices: list[Choice]
    taken: list[int]
    position: int
    option: int
    faults: int


Frontier = list[list[Work]]
"""Prefixes of the schedule tree, each with all that begins like it; the index is the number of preemptions so far."""

ROOT = Work([], [], -1, 0, 0)


def whole_tree() -> Frontier:
    """The one prefix that all schedules have: none."""
    return [[ROOT]]


class Exhaustive:
    """All schedules with at most so many preemptions, those with fewer first (CHESS). Each is run once."""

    def __init__(self, preemptions: int | None, levels: Frontier | None = None) -> None:
        """*levels*: only the schedules that begin like these, see `rest`; None for all."""
        self._preemptions = preemptions
        self._levels: Frontier = whole_tree() if levels is None else [list(level) for level in levels]
        self._level = 0
        self._work = ROOT
        self._seen: dict[Choice, Choice] = {}

    @property
    def level(self) -> int:
        """The number of preemptions of the schedules that are being run."""
        return self._level

    @property
    def rest(self) -> Frontier:
        """What is still to be run: the roots of subtrees that have no schedule in common, by their number of preemptions."""
        return self._levels

    def start(self) -> bool:
        """Take up the next schedule, if there is one."""
        while not self._levels[self._level]:
            if self._level + 1 == len(self._levels):
                return False
            self._level += 1
        self._work = self._levels[self._level].pop()
        return True

    def choose(self, position: int, choice: Choice, step: int) -> int:
        work = self._work
        if position > work.position:
            return 0
        if work.choices[position] != choice:
            raise DivergedError(_diverged(position, work.choices[position], choice, work.taken[position]))
        return work.option if position == work.position else work.taken[position]

    def ended(self, choices: list[Choice], taken: list[int]) -> str | None:
        """Note what else could have been chosen. Says so if the run was shorter than its recording."""
        work = self._work
        if len(taken) <= work.position:
            return f"choice {len(taken)} was {work.choices[len(taken)].describe(0)}, now the run ends before it"
        for position in range(work.position + 1, len(taken)):
            choices[position] = self._seen.setdefault(choices[position], choices[position])  # most are those of other runs
            for index in range(1, len(choices[position].options)):
                self._push(choices, taken, position, index, work.faults)
        return None

    def _push(self, choices: list[Choice], taken: list[int], position: int, index: int, faults: int) -> None:
        choice = choices[position]
        level = self._level
        if choice.injects(index):
            faults += 1
        elif self._preemptions is not None and choice.preempts(index):
            level += 1
            if level > self._preemptions:
                return
        while len(self._levels) <= level:
            self._levels.append([])
        self._levels[level].append(Work(choices, taken, position, index, faults))


class RandomWalk:
    """Each choice by lot."""

    FAULT_RATE = 0.05

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def start(self) -> bool:
        return True

    def choose(self, position: int, choice: Choice, step: int) -> int:
        healthy = [index for index in range(len(choice.options)) if not choice.injects(index)]
        if len(healthy) < len(choice.options) and self._random.random() < self.FAULT_RATE:
            return self._random.choice([index for index in range(len(choice.options)) if choice.injects(index)])
        return self._random.choice(healthy)

    def ended(self, choices: list[Choice], taken: list[int]) -> str | None:
        return None


class Pct:
    """Probabilistic concurrency testing: threads have random priorities, which change at `d - 1` random points.

    A bug that needs d ordering constraints among n threads and k points is hit with a probability of at least
    1 / (n * k ** (d - 1)) in each run. Run after run, d goes from 1 to *depth*, and begins anew.
    """

    def __init__(self, seed: int, depth: int = 4) -> None:
        self._random = random.Random(seed)
        self._depth = depth
        self.length = 1
        """How many points the longest run so far has had: the priorities change somewhere among so many."""
        self._runs = 0
        self._priorities: dict[int, float] = {}
        self._changes: list[int] = []
        self._fault_at = -1

    def start(self) -> bool:
        self._runs += 1
        self._priorities = {}
        changes = self._runs % self._depth  # none, too: some bugs show only if nobody is held up
        self._changes = sorted(self._random.randrange(1, self.length + 1) for _ in range(changes))
        self._fault_at = self._random.randrange(self.length + 1)
        return True

    def choose(self, position: int, choice: Choice, step: int) -> int:
        self.length = max(self.length, step)
        if step >= self._fault_at:
            faults = [index for index in range(len(choice.options)) if choice.injects(index)]
            if faults:
                self._fault_at = self.length * 2 + 1
                return self._random.choice(faults)
        if choice.kind == "fault":
            return 0
        while self._changes and step >= self._changes[0]:
            self._priorities[choice.actor] = -float(self._changes.pop(0))
        healthy = [index for index in range(len(choice.options)) if choice.options[index] >= 0]
        return max(healthy, key=lambda index: self._priority(choice.options[index]))

    def _priority(self, actor: int) -> float:
        if actor not in self._priorities:
            self._priorities[actor] = self._random.random()
        return self._priorities[actor]

    def ended(self, choices: list[Choice], taken: list[int]) -> str | None:
        return None


class Replay:
    """A recorded schedule, once."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def start(self) -> bool:
        return True

    def choose(self, position: int, choice: Choice, step: int) -> int:
        recorded = self._recording
        index = recorded.taken.get(position, 0)
        if index and (index >= len(choice.options) or choice.options[index] != recorded.expected[position]):
            was = recorded.expected[position]
            raise DivergedError(
                f"choice {position} was option {index} (thread {was if was >= 0 else ~was}), "
                f"now {choice.describe(min(index, len(choice.options) - 1))}; the program is not the one that was recorded"
            )
        return index

    def ended(self, choices: list[Choice], taken: list[int]) -> str | None:
        if len(taken) != self._recording.length:
            return f"the recording has {self._recording.length} choices, now there were {len(taken)}"
        return None


class Lenient:
    """A list of choices followed as far as they make sense: for shrinking."""

    def __init__(self, taken: list[int]) -> None:
        self._taken = taken

    def choose(self, position: int, choice: Choice, step: int) -> int:
        index = self._taken[position] if position < len(self._taken) else 0
        return index if index < len(choice.options) else 0


def _diverged(position: int, was: Choice, now: Choice, index: int) -> str:
    return f"choice {position} was {was.describe(index)}, now {now.describe(min(index, len(now.options) - 1))}"

"""One round of one scenario: what the scenario works with, and the verdict."""

from __future__ import annotations

import random
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from anyio import CapacityLimiter

from .._leaks import Watch
from .._perturb import perturb
from .faults import Faults
from .history import History, PlannedBaseError, PlannedError

PATIENCE_S = 10.0
"""How long what a round leaves behind, abandoned functions first of all, may take to end, in seconds."""


class Gauge:
    """A limiter, and how many functions run on its tokens at once."""

    def __init__(self, tokens: int, round_: Round) -> None:
        self.limiter = CapacityLimiter(tokens)
        self._tokens = tokens
        self._round = round_
        self._lock = threading.Lock()
        self._running = 0

    @contextmanager
    def running(self) -> Generator[None]:
        """Around what a function does on a token."""
        with self._lock:
            self._running += 1
            if self._running > self._tokens:
                self._round.history.wrong(f"{self._running} functions run at once on a limiter of {self._tokens}")
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1


class Round:
    """What a scenario works with: its random choices, the history that it writes, faults, limiters."""

    def __init__(self, seed: int, scenario: str, number: int, limit_s: float) -> None:
        """*limit_s*: after how many seconds the round counts as hung."""
        self.limit_s = limit_s
        self.name = f"{seed} {scenario} {number}"
        self.random = random.Random(self.name)
        self.history = History()
        self.faults = Faults(random.Random(f"faults {self.name}"))
        self.limiters: list[CapacityLimiter] = []

    def random_for(self, actor: object) -> random.Random:
        """Choices of one actor's own, which do not depend on when the others make theirs."""
        return random.Random(f"{self.name} {actor}")

    def gauge(self, tokens: int) -> Gauge:
        gauge = Gauge(tokens, self)
        self.limiters.append(gauge.limiter)
        return gauge

    def error_for(self, chosen: random.Random, chance: float = 0.3) -> BaseException | None:
        """Maybe an error for a function to raise; now and then one that must not be taken for somebody else's."""
        if chosen.random() > chance:
            return None
        kind = chosen.choice((PlannedError, PlannedError, PlannedBaseError, SystemExit, KeyboardInterrupt))
        if not issubclass(kind, Exception):
            self.faults.count("BaseException")
        return kind("planned")

    def in_threads(self, *actors: Callable[[], object]) -> None:
        """Run each actor on a thread of its own, all let go at the same moment, and wait for all."""
        gate = threading.Barrier(len(actors))

        def act(actor: Callable[[], object]) -> None:
            gate.wait()
            try:
                actor()
            except BaseException:  # noqa: BLE001 # an actor does not raise; whatever comes through is worth a report
                self.history.wrong(f"{threading.current_thread().name} failed:\n{traceback.format_exc()}")

        threads = [
            threading.Thread(target=act, args=(actor,), name=f"actor-{number}", daemon=True)
            for number, actor in enumerate(actors)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


class Scenario(NamedTuple):
    """What a round of one kind does."""

    name: str
    says: str
    run: Callable[[Round], None]
    fresh: bool = False
    """Whether each round is in a process that has never used the library before."""
    lines: bool = True
    """Whether the perturbation may pause at lines, which makes a million calls take an hour."""


@dataclass
class Result:
    """What came of one round."""

    round: int
    operations: int = 0
    outcomes: dict[str, int] = field(default_factory=dict[str, int])
    faults: dict[str, int] = field(default_factory=dict[str, int])
    violations: list[str] = field(default_factory=list[str])
    leaks: list[str] = field(default_factory=list[str])
    history: list[str] = field(default_factory=list[str])
    perturbation: str = ""
    seconds: float = 0.0


def run_round(scenario: Scenario, seed: int, number: int, limit_s: float) -> Result:
    """Run one round and judge it: first by what it left behind, then, as all has ended by now, by its history."""
    round_ = Round(seed, scenario.name, number, limit_s)
    watch = Watch(round_.limiters)
    began = time.monotonic()
    with perturb(round_.name, lines=scenario.lines) as perturbation:
        try:
            scenario.run(round_)
        except BaseException:  # noqa: BLE001 # a scenario does not raise; whatever comes through is worth a report
            round_.history.wrong(f"the scenario failed:\n{traceback.format_exc()}")
    leaks = watch.leaks(PATIENCE_S)
    history = round_.history
    violations = history.violations()
    outcomes = Counter(outcome for entry in history.entries for _, outcome in entry.outcomes)
    if perturbation.collected:
        round_.faults.counts["garbage collection"] = perturbation.collected
    return Result(
        round=number,
        operations=len(history.entries) + history.counted,
        outcomes=dict(outcomes),
        faults=round_.faults.counts,
        violations=violations,
        leaks=leaks,
        history=history.tell() if violations or leaks else [],
        perturbation=str(perturbation),
        seconds=time.monotonic() - began,
    )

"""The soak: as much of everything as the bars ask for, counted, and each bar with what was measured."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .._farm import Workers
from . import cycles, exits, forks, interrupts, many_calls, storms
from .campaign import LONGEST_S, Tally, conduct
from .history import CANCELLED, DEADLINE
from .rounds import Scenario
from .shard import Shard

MIB = 2**20


@dataclass(frozen=True)
class Part:
    """A scenario that runs until enough of something has happened in it."""

    scenario: Scenario
    what: str
    enough: int
    count: Callable[[Tally], int]
    of_a_round: int
    """How much of it a round has, as long as none has shown."""
    most_rounds: int
    """Of a shard. One shard is one process, apart from what is started afresh in it."""

    @property
    def rounds(self) -> int:
        """Of a shard, which is not to do much more than is asked for."""
        return min(self.most_rounds, max(1, -(-self.enough // self.of_a_round)))

    def missing(self, tally: Tally) -> int:
        return max(0, self.enough - self.count(tally))


def _interrupted_or_cancelled(tally: Tally) -> int:
    return tally.faults["interrupt"] + tally.outcomes[CANCELLED] + tally.outcomes[DEADLINE]


def parts(scale: float = 1.0) -> tuple[Part, ...]:
    """What the bars ask for; *scale*: or that share of it."""

    def scaled(count: int) -> int:
        return max(1, round(count * scale))

    calls = scaled(1_000_000)
    of_interrupts = scaled(10_000)
    return (
        # In one process, whose memory is watched.
        Part(
            many_calls.SCENARIO, "calls", calls, lambda tally: tally.operations, many_calls.CALLS, -(-calls // many_calls.CALLS)
        ),
        Part(cycles.SCENARIO, "cycles", scaled(50_000), lambda tally: tally.faults[cycles.FAULT], cycles.CYCLES, 50),
        Part(forks.SCENARIO, "forks", scaled(500), lambda tally: tally.faults["fork"], 2, 10),
        Part(exits.SCENARIO, "exits", scaled(200), lambda tally: tally.operations, exits.FARM, 5),
        Part(interrupts.SCENARIO, "interrupts", of_interrupts // 2, _interrupted_or_cancelled, 8, 50),
        Part(storms.SCENARIO, "cancellations", of_interrupts - of_interrupts // 2, _interrupted_or_cancelled, 25, 20),
    )


@dataclass(frozen=True)
class Bar:
    """What was measured, and what was asked for."""

    name: str
    value: float
    bar: float
    at_most: bool
    unit: str = ""

    @property
    def ok(self) -> bool:
        return self.value <= self.bar if self.at_most else self.value >= self.bar

    def row(self) -> tuple[str, ...]:
        value, bar = (f"{number:,.0f}" if number == int(number) else f"{number:,.1f}" for number in (self.value, self.bar))
        sign = "<=" if self.at_most else ">="
        return (self.name, f"{value}{self.unit}", f"{sign} {bar}{self.unit}", "ok" if self.ok else "short")


class Soak:
    """Runs the parts: first the calls, alone, as they are timed; then all others, those that lack most first."""

    def __init__(self, seed: int, limit_s: float, scale: float = 1.0) -> None:
        self.parts = parts(scale)
        self.tallies = {part.scenario.name: Tally(part.scenario.name, part.scenario.says) for part in self.parts}
        self._seed = seed
        self._limit_s = limit_s
        self._rounds = {part.scenario.name: 0 for part in self.parts}
        self._progress: dict[str, tuple[str, Path]] = {}
        """Of each shard that was given out: the scenario's name, and the file that tells how far it is."""
        self.seconds_of_calls = 0.0

    def run(self, workers: Workers, progress: Callable[[Soak], object]) -> None:
        """Until there is enough of everything. A part that has failed stays short."""
        with TemporaryDirectory() as folder:
            began = time.monotonic()
            for phase in (self.parts[:1], self.parts[1:]):
                conduct(self.tallies, partial(self._following, phase, folder), workers, lambda _: progress(self))
                self.seconds_of_calls = self.seconds_of_calls or time.monotonic() - began

    def _following(self, phase: Sequence[Part], folder: str) -> Shard | None:
        lacking = [part for part in phase if part.missing(self.tally(part)) and not self.tally(part).bad]
        if not lacking:
            return None
        part = min(lacking, key=self._expected)
        if self._expected(part) >= 1.0:  # what is running will do
            return None
        name = part.scenario.name
        first = self._rounds[name]
        self._rounds[name] += part.rounds
        file = Path(folder, f"{name}-{first}.json")
        self._progress[str(file)] = name, file
        return Shard(name, self._seed, first, LONGEST_S, self._limit_s, rounds=part.rounds, progress=str(file))

    def _expected(self, part: Part) -> float:
        """Which share of what is asked for there will be when all that runs has ended, as far as one can tell."""
        tally = self.tally(part)
        of_a_round = self._counted(part) / tally.rounds if tally.rounds else part.of_a_round
        return self._rounds[part.scenario.name] * of_a_round / part.enough

    def _counted(self, part: Part) -> int:
        return part.count(self.tally(part))

    def tally(self, part: Part) -> Tally:
        return self.tallies[part.scenario.name]

    def so_far(self) -> str:
        """How much of everything there has been, with what runs just now, for a person."""
        told = [f"{self._counted(part) + self._running(part):,} of {part.enough:,} {part.what}" for part in self.parts]
        return ", ".join(told)

    def _running(self, part: Part) -> int:
        """Of calls, what has been told and is not in the tally yet; others come by the shard."""
        if part is not self.parts[0] or self.tally(part).shards:
            return 0
        with suppress(OSError, ValueError):
            return sum(json.loads(file.read_text())[1] for name, file in self._progress.values() if name == part.scenario.name)
        return 0

    def bars(self) -> list[Bar]:
        """Each bar, and what was measured."""
        calls, *others = [self.tally(part) for part in self.parts]
        every = [calls, *others]
        counts = {part.what: self._counted(part) for part in self.parts}
        asked = {part.what: part.enough for part in self.parts}
        together = ("interrupts", "cancellations")
        of_both, asked_of_both = (sum(each[what] for what in together) for each in (counts, asked))
        return [
            Bar("calls", counts["calls"], asked["calls"], False),
            Bar("calls lost, doubled or wrong", calls.violations, 0, True),
            Bar("seconds for the calls", round(self.seconds_of_calls, 1), 600, True, " s"),
            Bar("memory above that after the warm-up", round(calls.highest / MIB, 1), 5, True, " MiB"),
            *(Bar(what, counts[what], asked[what], False) for what in ("cycles", "forks", "exits")),
            Bar(" and ".join(together), of_both, asked_of_both, False),
            Bar("violations of all others", sum(tally.violations for tally in others), 0, True),
            Bar("leaks", sum(tally.leaks for tally in every), 0, True),
            Bar("hangs", sum(tally.hangs for tally in every), 0, True),
        ]

    def as_dict(self) -> dict[str, Any]:
        """For a machine."""
        return {"bars": [{**vars(bar), "ok": bar.ok} for bar in self.bars()], "scenarios": list(self.tallies.values())}


def table(bars: Sequence[Bar]) -> str:
    """One row a bar."""
    lines = [("what", "value", "bar", ""), *(bar.row() for bar in bars)]
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    return "\n".join(f"{a:<{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}  {d}" for a, b, c, d in lines)

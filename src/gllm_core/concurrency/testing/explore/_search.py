"""The ways to search, and their verdicts."""

from __future__ import annotations

from dataclasses import replace

from ._choices import decode
from ._real import monotonic
from ._report import Finding, Kind, Result, Verdict
from ._runner import Outcome, Runner
from ._shrink import plainer, shrink
from ._strategies import Exhaustive, Lenient, Pct, RandomWalk, Replay

SHRINK_S = 10.0
"""How long a finding may be made plainer, in seconds."""


class Search:
    """Runs schedules until a strategy, a budget or a finding ends it."""

    def __init__(self, runner: Runner, deadline: float | None, limit: int | None) -> None:
        self._runner = runner
        self._deadline = deadline
        self._limit = limit
        self._begin = monotonic()
        self._runs = self._steps = 0
        self.calm = False
        """Whether a part of some schedule passed without a choice."""

    def exhaust(self, preemptions: int | None, strategy: Exhaustive | None = None) -> Result:
        """*strategy*: a part of the schedules; what a budget left undone is its `rest`."""
        bound = "" if preemptions is None else f" <={preemptions}"
        strategy = strategy or Exhaustive(preemptions)
        self._warm_up()
        while any(strategy.rest):
            stop = self._stop()
            if stop:
                return self._result(Verdict.BUDGET, f"exhaustive{bound}", f"BUDGET {self._runs} ({stop}; not exhausted)")
            strategy.start()
            finding = self._one(strategy)
            if finding is not None:
                return self._failed(finding, f"exhaustive search{bound}")
        aside = ", calm sections aside" if self.calm else ""
        return self._result(Verdict.EXHAUSTED, f"exhaustive{bound}", f"EXHAUSTED{bound}{aside}")

    def sample(self, name: str, strategy: Pct | RandomWalk) -> Result:
        self._limit = 1_000 if self._limit is None else self._limit
        steps = self._warm_up()
        if isinstance(strategy, Pct):
            strategy.length = max(strategy.length, steps)
        while self._runs < self._limit:
            if self._deadline is not None and monotonic() >= self._deadline:
                return self._result(Verdict.BUDGET, name, f"BUDGET {self._runs} {name.upper()} (time; {self._limit} asked for)")
            strategy.start()
            finding = self._one(strategy)
            if finding is not None:
                return self._failed(finding, f"{name} sampling")
        return self._result(Verdict.SAMPLED, name, f"SAMPLED {self._runs} {name.upper()}")

    def replay(self, schedule: str) -> Result:
        self._warm_up()
        strategy = Replay(decode(schedule))
        outcome = self._runner.run(strategy, narrate=True)
        self._count(outcome)
        finding = outcome.finding
        mismatch = strategy.ended(outcome.choices, outcome.taken)
        if mismatch and (finding is None or finding.kind is not Kind.DIVERGED):
            finding = Finding(Kind.DIVERGED, mismatch, schedule=schedule)
        if finding is None:
            return self._result(Verdict.REPLAYED, "replay", "REPLAYED without a finding")
        return self._result(Verdict.FAILED, "replay", "", replace(finding, steps=tuple(outcome.notes)))

    def _warm_up(self) -> int:
        """What is imported or cached at first use must not make the first schedule differ from the second. How long it was."""
        return self._runner.run(Lenient([])).steps

    def _one(self, strategy: Exhaustive | Pct | RandomWalk) -> Outcome | None:
        """Run the next schedule. Its outcome if it is a finding."""
        outcome = self._runner.run(strategy)
        self._count(outcome)
        mismatch = None if outcome.finding is not None else strategy.ended(outcome.choices, outcome.taken)
        if mismatch:
            outcome.finding = Finding(Kind.DIVERGED, mismatch, schedule=outcome.schedule)
        return None if outcome.finding is None else outcome

    def _count(self, outcome: Outcome) -> None:
        self._runs += 1
        self._steps += outcome.steps
        self.calm = self.calm or outcome.was_calm

    def _stop(self) -> str:
        if self._limit is not None and self._runs >= self._limit:
            return "schedules"
        return "time" if self._deadline is not None and monotonic() >= self._deadline else ""

    def _failed(self, outcome: Outcome, strategy: str) -> Result:
        schedules, steps = self._runs, self._steps
        finding = outcome.finding
        if finding is not None and finding.kind not in (Kind.DIVERGED, Kind.UNCONTROLLED):
            until = monotonic() + SHRINK_S

            def in_time() -> bool:
                return monotonic() < until

            def follow(taken: list[int]) -> Outcome:
                return self._runner.run(Lenient(taken))

            best = shrink(plainer(shrink(outcome, follow, in_time), self._runner.run, in_time), follow, in_time)
            told = self._runner.run(Lenient(best.taken), narrate=True)
            finding = best.finding if told.finding is None else replace(told.finding, steps=tuple(told.notes))
        self._runs, self._steps = schedules, steps
        return self._result(Verdict.FAILED, strategy, "", finding)

    def _result(self, verdict: Verdict, strategy: str, why: str, finding: Finding | None = None) -> Result:
        return Result(verdict, strategy, self._runs, monotonic() - self._begin, self._steps, why, finding)

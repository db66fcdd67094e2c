"""What an exploration found out, for a program and for a person."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field


class Kind(enum.Enum):
    """What a finding is."""

    ASSERTION = "assertion failed"
    EXCEPTION = "exception in a thread"
    DEADLOCK = "deadlock"
    STEP_LIMIT = "step limit (livelock)"
    LEAK = "leak at the end"
    UNCONTROLLED = "uncontrolled blocking"
    DIVERGED = "the model is not deterministic"


class Verdict(enum.Enum):
    """How far an exploration came. Only EXHAUSTED says that no schedule within the bound fails."""

    EXHAUSTED = "EXHAUSTED"
    SAMPLED = "SAMPLED"
    BUDGET = "BUDGET"
    REPLAYED = "REPLAYED"
    FAILED = "FAILED"


@dataclass(frozen=True)
class Finding:
    """One failing schedule."""

    kind: Kind
    message: str
    error: BaseException | None = field(default=None, compare=False)
    schedule: str = ""
    """What `replay=` takes."""
    steps: tuple[str, ...] = ()
    """Where the schedule departs from the plain one, a line each."""

    @property
    def signature(self) -> tuple[Kind, type[BaseException] | None]:
        """What stays the same when a schedule is shrunk."""
        return self.kind, None if self.error is None else type(self.error)


@dataclass(frozen=True)
class Result:
    """The outcome of an exploration."""

    verdict: Verdict
    strategy: str
    schedules: int
    """How many different schedules were run; of a sample, how many runs."""
    seconds: float
    steps: int
    """Scheduling points of all runs together."""
    why: str = ""
    """Why it stopped."""
    finding: Finding | None = None
    replay_line: str = ""
    """The line of code that runs the finding again."""

    @property
    def exhausted(self) -> bool:
        """Whether every schedule within the bound was run, and none failed."""
        return self.verdict is Verdict.EXHAUSTED

    def __str__(self) -> str:
        speed = f"{self.schedules} schedules in {self.seconds:.1f} s, {self.steps} points"
        if self.finding is None:
            return f"{self.why}: {speed}"
        lines = [f"{self.finding.kind.value}: {self.finding.message}", f"found by {self.strategy}: {speed}"]
        if self.finding.steps:
            lines += ["the schedule:", *(f"  {step}" for step in self.finding.steps)]
        if self.replay_line:
            lines += ["run it again with:", f"  {self.replay_line}"]
        return "\n".join(lines)


class ScheduleError(AssertionError):
    """A schedule fails. `result` has the finding, with the line that replays it."""

    def __init__(self, result: Result) -> None:
        super().__init__(str(result))
        self.result = result

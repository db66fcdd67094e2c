"""What a schedule is made of: at each choice, the options that there were and the one that was taken."""

from __future__ import annotations

from typing import NamedTuple


class Choice(NamedTuple):
    """One place where the run could go on in more than one way. Equal in two runs that are the same so far."""

    actor: int
    """Who was running."""
    where: int | str
    """What it was about to do: the number of a line, or the name of an operation."""
    options: tuple[int, ...]
    """Actors that could run next. ~n: actor n, its time-out firing first. For a fault: 0 (none), 1 (it happens)."""
    kind: str
    """`run`: the one that was running may go on, and is the first option; `free`: it may not; `fault`: a fault or none."""

    def preempts(self, index: int) -> bool:
        """Whether option *index* takes the baton from a thread that could have gone on."""
        return self.kind == "run" and index > 0 and self.options[index] >= 0

    def injects(self, index: int) -> bool:
        """Whether option *index* is a fault."""
        return index > 0 if self.kind == "fault" else self.options[index] < 0

    def describe(self, index: int) -> str:
        if not 0 <= index < len(self.options):
            return f"option {index} of {len(self.options)} of thread {self.actor} at {self.where}"
        option = self.options[index]
        if self.kind == "fault":
            return f"{self.where} of thread {self.actor} {'fails' if option else 'succeeds'}"
        what = f"thread {option}" if option >= 0 else f"time-out of thread {~option}"
        return f"{what} at {self.where} of thread {self.actor}, out of {list(self.options)}"


def encode(taken: list[int], choices: list[Choice]) -> str:
    """The schedule as text: `POSITION.OPTION@TAKEN` for each choice that is not the first option, then `/` and the count."""
    steps = [f"{at}.{index}@{choices[at].options[index]}" for at, index in enumerate(taken) if index]
    return f"{','.join(steps)}/{len(taken)}"


class Recording(NamedTuple):
    """A schedule, read back."""

    taken: dict[int, int]
    expected: dict[int, int]
    length: int


def decode(text: str) -> Recording:
    """The inverse of `encode`.

    Raises:
        ValueError: *text* is not a schedule.
    """
    try:
        steps, length = text.split("/")
        taken: dict[int, int] = {}
        expected: dict[int, int] = {}
        for step in filter(None, steps.split(",")):
            at, _, rest = step.partition(".")
            index, _, option = rest.partition("@")
            taken[int(at)], expected[int(at)] = int(index), int(option)
        return Recording(taken, expected, int(length))
    except ValueError:
        raise ValueError(f"not a schedule: {text!r}; expected what a finding printed, like '17.1@2,30.2@0/45'") from None


class DivergedError(Exception):
    """A run did not follow its recording."""

"""A failing schedule, made as plain as can be: choices are dropped while it still fails; then, fewer preemptions are tried."""

from __future__ import annotations

from collections.abc import Callable

from ._choices import Choice
from ._runner import Outcome
from ._strategies import Exhaustive

MAX_RUNS = 300


def _cost(outcome: Outcome) -> tuple[int, int]:
    return sum(1 for index in outcome.taken if index), len(outcome.taken)


def plainer(outcome: Outcome, run: Callable[[Exhaustive], Outcome], budget: Callable[[], bool]) -> Outcome:
    """A schedule that fails in the same way with fewer preemptions, if there is one among the first few hundred.

    A sample's schedule can be such that no choice of it can be dropped, as each one moves those after it.
    """
    preemptions = sum(choice.preempts(index) for choice, index in zip(outcome.choices, outcome.taken, strict=True))
    if preemptions < 2:
        return outcome
    strategy = Exhaustive(preemptions - 1)
    for _ in range(MAX_RUNS):
        if not strategy.start() or not budget():
            break
        tried = run(strategy)
        if _fails_alike(tried, outcome):
            return tried
        if tried.finding is not None or strategy.ended(tried.choices, tried.taken):
            break
    return outcome


def shrink(outcome: Outcome, run: Callable[[list[int]], Outcome], budget: Callable[[], bool]) -> Outcome:
    """The plainest schedule found that fails in the same way. *run* follows a list of choices as far as it makes sense."""
    best = outcome
    runs = 0
    progress = True
    while progress and runs < MAX_RUNS and budget():
        progress = False
        for candidate in _candidates(best.taken, best.choices):
            runs += 1
            if runs > MAX_RUNS or not budget():
                break
            tried = run(candidate)
            if _fails_alike(tried, best) and _cost(tried) < _cost(best):
                best, progress = tried, True
                break
    return best


def _fails_alike(one: Outcome, other: Outcome) -> bool:
    return one.finding is not None and other.finding is not None and one.finding.signature == other.finding.signature


def _candidates(taken: list[int], choices: list[Choice]) -> list[list[int]]:
    """First large cuts, then single choices, the latest first."""
    chosen = [at for at, index in enumerate(taken) if index]
    cuts = [taken[:at] for at in (chosen[len(chosen) // 2 :][:1] if len(chosen) > 3 else [])]
    return cuts + [[*taken[:at], 0, *taken[at + 1 :]] for at in reversed(chosen)]

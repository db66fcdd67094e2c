"""The judge of the stress engine: each planted violation is seen, and sound histories pass."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import CancelledError

import pytest

from gllm_core.concurrency import PortalNotRunningError
from gllm_core.concurrency.testing._stress.history import CANCELLED, NOT_RUNNING, Entry, History, PlannedError
from gllm_core.concurrency.testing._stress.rounds import Round, Scenario, run_round

LIMIT_S = 20.0


def judged(plant: Callable[[Entry], object], *may: str, waits: bool = False) -> list[str]:
    history = History()
    entry = history.new("planted", *may, waits=waits)
    plant(entry)
    found = history.violations()
    assert not found or any("planted" in line for line in history.tell())
    return found


def sound(entry: Entry) -> int:
    with entry.running():
        return entry.result()


def fail_with(error: BaseException) -> Callable[[Entry], object]:
    def fail() -> None:
        raise error

    return lambda entry: entry.settle(fail)


def begins_late(entry: Entry) -> None:
    entry.came(CANCELLED)
    sound(entry)


def ends_late(entry: Entry) -> None:
    with entry.running():
        entry.came(CANCELLED)


def test_sound_calls_pass() -> None:
    """Its value, its own error, and an end that was allowed are no violations."""

    def own_error(entry: Entry) -> None:
        entry.error = PlannedError()
        entry.settle(lambda: sound(entry))

    assert judged(lambda entry: entry.settle(lambda: sound(entry))) == []
    assert judged(own_error) == []
    assert judged(fail_with(CancelledError()), CANCELLED) == []
    assert judged(fail_with(asyncio.CancelledError()), CANCELLED) == []
    assert judged(fail_with(PortalNotRunningError()), NOT_RUNNING) == []
    assert judged(begins_late, CANCELLED) == []
    assert judged(ends_late, CANCELLED) == []


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        (lambda entry: None, "0 outcomes"),
        (lambda entry: [entry.settle(lambda: sound(entry)), entry.came("value")], "2 outcomes"),
        (lambda entry: entry.settle(lambda: sound(entry) + sound(entry) - entry.number), "ran 2 times"),
        (lambda entry: entry.settle(lambda: entry.number), "ran 0 times"),
        (lambda entry: entry.settle(lambda: sound(entry) + 1), "the value 2 of another call"),
        (lambda entry: [entry.began.append(0.0), entry.came("value")], "never ended"),
        (fail_with(CancelledError()), "may end with"),
        (fail_with(PlannedError()), "unexpected PlannedError"),
    ],
)
def test_violations_are_seen(plant: Callable[[Entry], object], said: str) -> None:
    """A lost, a doubled, a wrong outcome, and a function that ran too often or never, are told from each other."""
    assert any(said in text for text in judged(plant))


def test_who_waits_learns_nothing_early() -> None:
    """Where the caller stays until the function ends, an outcome before that is a violation."""
    assert any("began after" in text for text in judged(begins_late, CANCELLED, waits=True))
    assert any("while its function was running" in text for text in judged(ends_late, CANCELLED, waits=True))


def test_too_many_on_a_limiter() -> None:
    """More functions at once than the limiter has tokens is a violation."""

    def planted(round_: Round) -> None:
        gauge = round_.gauge(1)
        with gauge.running(), gauge.running():
            pass

    result = run_round(Scenario("planted", "", planted), 1, 0, LIMIT_S)
    assert result.violations == ["2 functions run at once on a limiter of 1"]


def test_an_actor_that_fails_is_a_violation() -> None:
    """What an actor, or the scenario itself, raises does not get lost."""

    def planted(round_: Round) -> None:
        round_.in_threads(lambda: 1 / 0)
        raise LookupError

    first, second = run_round(Scenario("planted", "", planted), 1, 0, LIMIT_S).violations
    assert "ZeroDivisionError" in first
    assert "LookupError" in second


def test_same_seed_same_choices() -> None:
    """A round's choices depend on seed, scenario and number, and an actor's own on nothing else."""
    chosen = [Round(1, "planted", number, LIMIT_S) for number in (5, 5, 6)]
    assert chosen[0].random_for(3).random() == chosen[1].random_for(3).random() != chosen[2].random_for(3).random()
    assert chosen[0].random.random() == chosen[1].random.random()

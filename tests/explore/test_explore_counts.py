"""The explorer runs each schedule within its bound, and each one once."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from explore.brute_force import Program, count, perform
from explore.one_line import Made, step
from gllm_core.concurrency.testing.explore import Verdict, search

LOCKED: Program = ("acquire a", "release a")
LOCKED_STEP: Program = ("acquire a", "step", "release a")
STEPS: Program = ("step", "step")
MODELS: dict[str, tuple[Program, ...]] = {
    "one": (STEPS,),
    "two-of-one-step": (("step",), ("step",)),
    "two-of-two-steps": (STEPS, STEPS),
    "uneven": (("step",), ("step", "step", "step")),
    "three-of-one-step": (("step",), ("step",), ("step",)),
    "two-locked": (LOCKED, LOCKED),
    "three-locked": (LOCKED, LOCKED, LOCKED),
    "two-locked-steps": (LOCKED_STEP, LOCKED_STEP),
    "lock-and-step": (LOCKED_STEP, STEPS),
    "two-locks": (("acquire a", "release a"), ("acquire b", "release b")),
    "nested": (("acquire a", "acquire b", "release b", "release a"), ("acquire b", "release b", "step")),
    "twice": (("acquire a", "release a", "acquire a", "release a"), LOCKED_STEP),
}


@pytest.mark.filterwarnings("ignore:explore.. met no line of modules:RuntimeWarning")  # some models have locks only
@pytest.mark.parametrize("preemptions", [0, 1, 2, None])
@pytest.mark.parametrize("programs", MODELS.values(), ids=MODELS)
def test_count_equals_brute_force(programs: tuple[Program, ...], preemptions: int | None) -> None:
    """The number of schedules is that of a count without threads."""
    expected = count(programs, preemptions)
    if expected > 800:
        preemptions, expected = 1, count(programs, 1)
    result = search(lambda: perform(programs), preemptions=preemptions, modules=["explore.one_line"])
    assert result.verdict is Verdict.EXHAUSTED
    assert result.schedules == expected


@pytest.mark.parametrize("threads", [1, 2, 3, 4])
def test_all_orders_of_locked_appends(threads: int) -> None:
    """N threads that append below one lock do so in all n! orders, without a single preemption."""
    orders: list[tuple[int, ...]] = []

    def scenario() -> None:
        lock = threading.Lock()
        order: list[int] = []

        def append(number: int) -> None:
            with lock:
                order.append(number)

        started = [threading.Thread(target=append, args=[number]) for number in range(threads)]
        for thread in started:
            thread.start()
        for thread in started:
            thread.join()
        orders.append(tuple(order))

    assert search(scenario, preemptions=0).verdict is Verdict.EXHAUSTED
    assert len(set(orders)) == math.factorial(threads)


def test_all_interleavings_of_lines() -> None:
    """Two threads of three lines each interleave in all of the 20 possible ways."""
    orders: list[str] = []

    def scenario() -> None:
        order: list[str] = []

        def note(name: str) -> None:
            for _ in range(3):
                step()
                order.append(name)

        started = [threading.Thread(target=note, args=[name]) for name in "ab"]
        for thread in started:
            thread.start()
        for thread in started:
            thread.join()
        orders.append("".join(order))

    assert search(scenario, preemptions=None, modules=["explore.one_line"]).verdict is Verdict.EXHAUSTED
    assert len(set(orders)) == math.comb(6, 3)


@dataclass
class Foreign:
    """Of this module, which is not explored."""

    number: int


def both(*calls: Callable[[int], object]) -> Callable[[], None]:
    """A model of two threads, each of which does *calls*."""

    def scenario() -> None:
        threads = [threading.Thread(target=lambda: [call(1) for call in calls]) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return scenario


@pytest.mark.parametrize("calls", [(Made, Foreign), (Foreign, Made)], ids=["ours-first", "foreign-first"])
def test_generated_code_belongs_to_its_module(calls: tuple[Callable[[int], object], ...]) -> None:
    """The generated code of all modules has the same file name; whose it is does not depend on what ran first."""
    alone = search(both(Made), preemptions=None, modules=["explore.one_line"])
    beside = search(both(*calls), preemptions=None, modules=["explore.one_line"])
    assert alone.verdict is beside.verdict is Verdict.EXHAUSTED
    assert beside.schedules == alone.schedules > 1

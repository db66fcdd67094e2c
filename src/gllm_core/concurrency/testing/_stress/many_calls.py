"""A great many calls, in both directions and through both, each counted: none lost, none doubled, none mistaken for another."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal
from anyio.lowlevel import checkpoint

from gllm_core.concurrency import asyncify, syncify

from .history import PlannedError
from .rounds import Round, Scenario

CALLS = 10_000
"""How many calls one round makes."""

CALLERS = 3
LOOPS = 2
TASKS = 8
"""On each loop."""

ERROR_CHANCE = 0.1


class Ledger:
    """Of each call of a round, how often its function ran, and how often its own outcome arrived. One byte each."""

    def __init__(self, round_: Round, size: int) -> None:
        self._round = round_
        self._ran = bytearray(size)
        self._answered = bytearray(size)
        self._raises = random.Random(f"{round_.name} raises").randbytes(size)

    def run(self, number: int) -> int:
        """What the function of call *number* does: give the outcome that is this call's alone."""
        self._ran[number] += 1
        if self._raises[number] < 256 * ERROR_CHANCE:
            raise PlannedError(number)
        return number

    def answer(self, number: int, outcome: object) -> None:
        """The value or the exception of call *number* has arrived."""
        raises = self._raises[number] < 256 * ERROR_CHANCE
        if raises and isinstance(outcome, PlannedError):
            outcome = outcome.args[0]
        elif raises:
            outcome = f"{outcome!r} instead of its error"
        if outcome != number:
            self._round.history.wrong(f"call {number} ended with {outcome!r}")
        self._answered[number] += 1

    def close(self) -> None:
        """Each call ran once and was answered once, or it is told which one was not."""
        self._round.history.counted += len(self._ran)
        for what, counts in (("ran", self._ran), ("was answered", self._answered)):
            if counts.count(1) != len(counts):
                told = [f"call {number} {what} {times} times" for number, times in enumerate(counts) if times != 1]
                for text in told[:20]:
                    self._round.history.wrong(text)


Call = Callable[[int], int]
AsyncCall = Callable[[int], Awaitable[int]]


def _run(round_: Round) -> None:
    ledger = Ledger(round_, CALLS)
    actors = CALLERS + LOOPS
    shares = [range(actor, CALLS, actors) for actor in range(actors)]
    with start_blocking_portal() as portal:
        ways = _ways(ledger, portal)
        callers = [partial(_calls, round_, ledger, ways, share) for share in shares[:CALLERS]]
        loops = [partial(_runs, round_, ledger, share) for share in shares[CALLERS:]]
        round_.in_threads(*callers, *loops)
    ledger.close()


def _ways(ledger: Ledger, portal: BlockingPortal) -> list[Call]:
    async def at_once(number: int) -> int:
        return ledger.run(number)

    async def in_turns(number: int) -> int:
        await checkpoint()
        return ledger.run(number)

    below = asyncify(ledger.run)
    return [syncify(at_once), syncify(in_turns), syncify(in_turns, portal=portal), syncify(below)]


def _calls(round_: Round, ledger: Ledger, ways: list[Call], numbers: Iterable[int]) -> None:
    """A thread that calls async functions."""
    chosen = round_.random_for(numbers)
    for number in numbers:
        try:
            outcome: object = chosen.choice(ways)(number)
        except Exception as error:  # noqa: BLE001 # whatever it is, it is the outcome
            outcome = error
        ledger.answer(number, outcome)


def _runs(round_: Round, ledger: Ledger, numbers: range) -> None:
    """A thread that runs a loop, whose tasks await blocking functions."""

    async def inner(number: int) -> int:
        await checkpoint()
        return ledger.run(number)

    async def main() -> None:
        limited = anyio.CapacityLimiter(3)
        ways: list[AsyncCall] = [
            asyncify(ledger.run),
            asyncify(ledger.run, cancellable=True),
            asyncify(ledger.run, limiter=limited),
            asyncify(syncify(inner)),
        ]
        async with anyio.create_task_group() as group:
            for task in range(TASKS):
                group.start_soon(_awaits, round_, ledger, ways, numbers[task::TASKS])
        borrowed = limited.borrowed_tokens + anyio.to_thread.current_default_thread_limiter().borrowed_tokens
        if borrowed:
            round_.history.wrong(f"{borrowed} tokens are still borrowed, though all calls have ended")

    asyncio.run(main())


async def _awaits(round_: Round, ledger: Ledger, ways: list[AsyncCall], numbers: Iterable[int]) -> None:
    chosen = round_.random_for(numbers)
    for number in numbers:
        try:
            outcome: object = await chosen.choice(ways)(number)
        except Exception as error:  # noqa: BLE001 # whatever it is, it is the outcome
            outcome = error
        ledger.answer(number, outcome)


SCENARIO = Scenario("many-calls", "ten thousand counted calls a round, in all directions", _run, lines=False)

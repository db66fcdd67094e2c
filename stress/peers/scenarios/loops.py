"""Loops that are closed: before a call, under it, and in a race with it."""

from __future__ import annotations

import functools
import random
import sys
import threading
import time

from ..model import Library
from ..scene import WAIT_S, Endless, InThread, fails, note, one, scenario, shown
from . import race

GROUP = "Threads and loops"


@scenario("S4", "A call on a loop that was closed raises at once", group=GROUP)
def closed_loop(library: Library) -> None:
    with library.closable() as call:
        call(one)
    late = InThread(lambda: call(one))
    if not late.ended():
        fails("the call hung")
    if late.error is None:
        fails(f"the call returned {late.value!r}")


@scenario("S4", "A call that is in flight when its loop is closed ends", group=GROUP)
def loop_closed_under_call(library: Library) -> None:
    endless = Endless()
    with library.closable() as call:
        caller = InThread(lambda: call(endless.run))
        if not endless.began.wait(WAIT_S):
            fails("the call did not start")
    if not caller.ended():
        fails("the call was never answered")
    if caller.error is None:
        fails("the call returned, though its coroutine never ends")


@scenario("S4", "A loop that is closed while others call it: no call hangs (many rounds, seeded)", group=GROUP, is_race=True)
def close_race(library: Library) -> None:
    chance = random.Random(race.SEED)
    sys.setswitchinterval(race.SWITCH_INTERVAL_S)
    end = time.monotonic() + race.seconds()
    rounds = calls = 0
    late: list[list[InThread]] = []
    while time.monotonic() < end and len(late) < race.ENOUGH:
        rounds += 1
        callers, answered = _close_under_callers(library, chance.randrange(race.SPINS))
        calls += sum(answered)
        if not all([caller.ended(race.PATIENCE_S) for caller in callers]):
            late.append(callers)
            continue
        for caller in callers:
            if not isinstance(caller.error, race.REFUSALS):
                fails(f"in round {rounds} a caller got {'nothing' if caller.error is None else shown(caller.error)}")
    patience = time.monotonic() + WAIT_S
    hung = sum(not all([caller.ended(max(0.0, patience - time.monotonic())) for caller in callers]) for callers in late)
    if hung:
        fails(f"in {hung} of {rounds} rounds, with {calls} answered calls, a caller was never answered")
    note(f"in {rounds} rounds with {calls} answered calls")


def _close_under_callers(library: Library, spins: int) -> tuple[list[InThread], list[int]]:
    """Threads that call until they are refused, and a loop that is closed after *spins*; and what each had answered."""
    answered = [0] * race.CALLERS
    ready = threading.Barrier(race.CALLERS + 1)
    with library.closable() as call:

        def keep_calling(mine: int) -> None:
            ready.wait(WAIT_S)
            while True:
                call(one)
                answered[mine] += 1

        callers = [InThread(functools.partial(keep_calling, mine)) for mine in range(race.CALLERS)]
        ready.wait(WAIT_S)
        for _ in range(spins):
            pass
    return callers, answered

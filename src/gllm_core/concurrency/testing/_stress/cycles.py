"""Portals that are started and closed without end, against three callers who do not care (P2, S1, S4)."""

from __future__ import annotations

import random
import time
import traceback
from functools import partial

from anyio.from_thread import BlockingPortal, start_blocking_portal
from anyio.lowlevel import checkpoint

from gllm_core.concurrency import PortalNotRunningError, get_default_portal, syncify

from .rounds import Round, Scenario

CYCLES = 250
"""How many portals one round starts and closes."""

CALLERS = 3
FAULT = "portal started and closed"
"""Under which name they are counted."""

PATIENCE_S = 0.005
"""How long the owner gives callers the time for a call, now and then, in seconds."""


class _Stage:
    """The portal that is on right now: one of the owner's, which ends, or None for the default one, which is replaced."""

    def __init__(self) -> None:
        self.portal: BlockingPortal | None = None
        self.over = False
        self.calls = [0] * CALLERS
        """By caller, how many calls there were. Each one writes its own place only."""


def _run(round_: Round) -> None:
    stage = _Stage()
    round_.in_threads(partial(_own, round_, stage), *[partial(_call, round_, stage, number) for number in range(CALLERS)])
    round_.history.counted += sum(stage.calls)


def _own(round_: Round, stage: _Stage) -> None:
    chosen = round_.random_for("owner")
    try:
        for _ in range(CYCLES):
            if chosen.random() < 0.7:
                with start_blocking_portal() as portal:
                    stage.portal = portal
                    _wait(stage, chosen)
            else:
                portal = get_default_portal()
                stage.portal = None
                _wait(stage, chosen)
                syncify(portal.stop, portal=portal)()
            round_.faults.count(FAULT)
    finally:
        stage.over = True


def _wait(stage: _Stage, chosen: random.Random) -> None:
    """Mostly not at all, else until somebody has made a call."""
    if chosen.random() < 0.5:
        return
    before, until = sum(stage.calls), time.monotonic() + PATIENCE_S
    while sum(stage.calls) == before and time.monotonic() < until:
        time.sleep(0)


def _call(round_: Round, stage: _Stage, number: int) -> None:
    """Call whatever portal is on; the call ends with its value, or is refused where the portal was the owner's."""
    ran = [0]

    async def answer(asked: int) -> int:
        ran[0] += 1
        await checkpoint()
        return asked

    chosen = round_.random_for(number)
    on_default = syncify(answer)
    while not stage.over:
        portal, before, asked = stage.portal, ran[0], chosen.randrange(10**6)
        stage.calls[number] += 1
        try:
            got = on_default(asked) if portal is None else syncify(answer, portal=portal)(asked)
        except PortalNotRunningError as error:
            if portal is None:
                told = "".join(traceback.format_exception(error))
                round_.history.wrong(f"a call on the default portal, which ran {ran[0] - before} times, was refused: {told}")
            if ran[0] - before > 1:
                round_.history.wrong(f"a call that was refused ran {ran[0] - before} times")
            time.sleep(0)  # until there is another one
        else:
            if got != asked or ran[0] - before != 1:
                round_.history.wrong(f"a call with {asked} ran {ran[0] - before} times and returned {got}")


SCENARIO = Scenario("cycles", "portals started and closed without end, against three callers", _run, lines=False)

"""Everything that one process can bear at the same time, on one default portal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from . import portal_life, saturation, storms
from .rounds import Round, Scenario


def _run(round_: Round) -> None:
    gauges = [round_.gauge(tokens) for tokens in (1, 3, 40)]
    ends = round_.random.random() < 0.5
    kinds = ["stop"] if ends else []

    def stormy(number: int) -> None:
        asyncio.run(storms.storm(round_, gauges[number % 3], f"storm {number}"))

    def saturated(number: int) -> None:
        asyncio.run(saturation.loop(round_, gauges, number))

    def calling(number: int) -> None:
        portal_life.default(round_, kinds, frozenset(), number)

    actors: list[Callable[[int], None]] = [stormy, saturated, calling]
    chosen = [round_.random.choice(actors) for _ in range(round_.random.choice((2, 4)))]
    round_.in_threads(*[partial(actor, number) for number, actor in enumerate(chosen, 1)])


SCENARIO = Scenario("mixed", "storms, saturation and a portal that is stopped and replaced, all at once", _run)

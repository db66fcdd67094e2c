"""All scenarios, by name."""

from __future__ import annotations

from . import cycles, exits, first_use, forks, interrupts, many_calls, mixed, nesting, portal_life, saturation, storms, streams
from .rounds import Scenario

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        first_use.SCENARIO,
        portal_life.SCENARIO,
        storms.SCENARIO,
        saturation.SCENARIO,
        nesting.SCENARIO,
        streams.SCENARIO,
        forks.SCENARIO,
        exits.SCENARIO,
        interrupts.SCENARIO,
        interrupts.SWEEP,
        mixed.SCENARIO,
        many_calls.SCENARIO,
        cycles.SCENARIO,
    )
}

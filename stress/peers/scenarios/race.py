"""How the race of callers with a closing loop is run."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os

SEED = 20
CALLERS = 3
SWITCH_INTERVAL_S = 1e-6
"""How often the interpreter lets another thread run, in seconds: the default hides this race almost always."""

VARIABLE = "PEERS_RACE_SECONDS"
"""The environment variable that says how long to look for a hang."""

REFUSALS = (RuntimeError, concurrent.futures.CancelledError, asyncio.CancelledError)
"""What a caller may get of a loop that closes."""

SPINS = 20_000
"""How many turns of an empty loop the callers have at most before the loop is closed."""

PATIENCE_S = 0.2
"""How long a caller is waited for within a round, in seconds. Who is late then is waited for again at the end."""

ENOUGH = 5
"""After so many rounds with a late caller no more are needed."""


def seconds() -> float:
    return float(os.environ.get(VARIABLE, "40"))

"""The first use of the library in a process, by many threads at once (P1), where threads may fail to start."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

from gllm_core.concurrency import PortalNotRunningError, asyncify, get_default_portal, syncify

from . import callables
from .history import NO_THREAD
from .rounds import Round, Scenario


def _run(round_: Round) -> None:
    count = round_.random.choice((2, 3, 8, 24))
    seen: list[object] = []

    with round_.faults.of_threads(may_fail=True) as may_fail:
        may = (NO_THREAD,) if may_fail else ()

        def actor(number: int) -> None:
            chosen = round_.random_for(number)
            way = chosen.choice(("portal", "syncify", "syncify", "asyncify"))
            if way == "portal":
                try:
                    seen.append(get_default_portal())
                except PortalNotRunningError as error:
                    if not may:
                        round_.history.wrong(f"no portal, though threads can be started: {error}")
                return
            entry = round_.history.new(way, *may, error=round_.error_for(chosen))
            if way == "syncify":
                call = syncify(callables.coroutine_function(round_, entry, chosen))
            else:
                function = asyncify(callables.function(round_, entry, chosen))

                def call() -> int:
                    return asyncio.run(function())

            entry.settle(call)

        round_.in_threads(*[partial(actor, number) for number in range(count)])

    # All is well again, so whatever went wrong must not have lasted.
    entry = round_.history.new("syncify, afterwards")
    entry.settle(syncify(callables.coroutine_function(round_, entry, round_.random)))
    seen.append(get_default_portal())
    if not may and any(portal is not seen[0] for portal in seen):
        round_.history.wrong(f"{len(set(map(id, seen)))} default portals were handed out instead of one")
    threads = [thread.name for thread in threading.enumerate() if thread.name == "gllm-default-portal"]
    if len(threads) != 1:
        round_.history.wrong(f"{len(threads)} default portals run instead of one")


SCENARIO = Scenario("first-use", "the first use in a process, by many threads at once; threads fail to start", _run, fresh=True)

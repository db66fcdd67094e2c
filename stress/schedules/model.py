"""A scenario of our own code, and how far it is explored."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from gllm_core.concurrency.testing.explore import Result, calm, search
from gllm_core.concurrency.testing.explore._runner import Settings
from gllm_core.concurrency.testing.explore._shard import Exploration

PACKAGE = "gllm_core.concurrency"


@dataclass(frozen=True)
class Scenario:
    """Imports the library inside, so that each schedule has a fresh copy of it."""

    run: Callable[[], object]
    actors: int = 2
    """How many threads and loops take part in the race; those that only carry an answer to one of them are not counted."""
    preemptions: int = 1
    """The bound within which it is exhausted."""
    faults: tuple[str, ...] = ()
    rooms: tuple[str, ...] = ()
    """The modules of the library whose lines are scheduling points; none for all. Locks, wake-ups and starts always are.

    One with a dot in its name is another's: `asyncio.base_events`.
    """
    quick: bool = False
    """Whether the quick run exhausts it, too, at one preemption."""

    @property
    def name(self) -> str:
        return self.run.__name__

    @property
    def modules(self) -> list[str]:
        return [room if "." in room else f"{PACKAGE}.{room}" for room in self.rooms] or [PACKAGE]

    def explore(self, **options: Any) -> Result:
        chosen: dict[str, Any] = {"preemptions": self.preemptions, "faults": self.faults, "modules": self.modules, **options}
        return search(self.run, fresh=[PACKAGE], **chosen)

    def exploration(self, preemptions: int | None, *, sampled: int | None = None, seed: int = 0) -> Exploration:
        """The same for a campaign, whose workers look the scenario up by name."""
        settings = Settings(modules=tuple(self.modules), fresh=(PACKAGE,), faults=frozenset(self.faults))
        return Exploration(self.name, f"{self.run.__module__}:{self.name}", settings, preemptions, sampled, seed)


SCENARIOS: dict[str, Scenario] = {}


def scenario(
    *rooms: str, actors: int = 2, preemptions: int = 1, faults: Iterable[str] = (), quick: bool = False
) -> Callable[[Callable[[], object]], Callable[[], object]]:
    """Register a function as a scenario."""

    def register(run: Callable[[], object]) -> Callable[[], object]:
        SCENARIOS[run.__name__] = Scenario(run, actors, preemptions, tuple(faults), rooms, quick)
        return run

    return register


def together(*functions: Callable[[], object]) -> None:
    """Run all of them at once, to their ends: the last one on this thread, the others each on a thread of its own."""
    *others, mine = functions
    threads = [threading.Thread(target=function, name=getattr(function, "__name__", None)) for function in others]
    with calm():  # the starts are no part of the race, nor do they fail; from then on, any of them may come first
        for thread in threads:
            thread.start()
    mine()
    for thread in threads:
        thread.join()


def ends(call: Callable[[], object]) -> None:
    """A *call* that ends. One that waits for what never comes looks about now and then, for ever, which is no deadlock."""
    thread = threading.Thread(target=call, name="caller")
    with calm():
        thread.start()
    thread.join(60)  # virtual
    assert not thread.is_alive(), "the call never ends"


def run_on(loop: asyncio.AbstractEventLoop, main: Callable[[], Any]) -> None:
    """As `asyncio.run`, on a loop that others know already."""
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()

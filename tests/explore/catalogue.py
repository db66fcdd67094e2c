"""What the catalogue's modules share: an entry is a bug and its correct twin, which differ in as little as possible."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from gllm_core.concurrency.testing.explore import Kind

Scenario = Callable[[], object]


class Entry(NamedTuple):
    """A classic bug and its correct twin."""

    name: str
    buggy: Scenario
    correct: Scenario
    kind: Kind
    options: dict[str, Any]


class Catalogue:
    """The entries of one module: a function that takes `fixed` makes both twins."""

    def __init__(self, module: str) -> None:
        self._module = module
        self.entries: list[Entry] = []

    def add(
        self, kind: Kind = Kind.ASSERTION, *, traced: bool = True, **options: Any
    ) -> Callable[[Callable[[bool], object]], Callable[[bool], object]]:
        """*traced*: whether each line of the model is a scheduling point; else, operations on locks and loops only."""

        def register(model: Callable[[bool], object]) -> Callable[[bool], object]:
            def buggy() -> object:
                return model(False)

            def correct() -> object:
                return model(True)

            if traced:
                options["modules"] = [self._module]
            self.entries.append(Entry(model.__name__.replace("_", " "), buggy, correct, kind, options))
            return model

        return register


def together(*functions: Callable[[], object]) -> None:
    """Run all of them at once, each on a thread of its own, to their ends."""
    threads = [threading.Thread(target=function, name=getattr(function, "__name__", None)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

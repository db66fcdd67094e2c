"""Objects that can be watched, and whether they are gone."""

from __future__ import annotations

import threading
import weakref
from typing import Any

from handshakes import WAIT_S


class Thing:
    """An argument or a value: it can be referred to weakly."""


class Boom(Exception):
    """An exception that can be referred to weakly."""


class Deaths:
    """Whether the objects under watch are gone: at once, or, where another thread drops them, within WAIT_S."""

    def __init__(self) -> None:
        self._refs: list[tuple[weakref.ref[Any], threading.Event]] = []

    def watch(self, thing: Any) -> Any:
        died = threading.Event()
        self._refs.append((weakref.ref(thing, lambda _: died.set()), died))
        return thing

    def all_at_once(self) -> bool:
        return bool(self._refs) and all(ref() is None for ref, _ in self._refs)

    def all_soon(self) -> bool:
        return bool(self._refs) and all(died.wait(WAIT_S) for _, died in self._refs)

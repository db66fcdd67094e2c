"""Raises what no scenario has foreseen."""

from __future__ import annotations

from peers.model import Async, Library, Sync


class Wrong(Library):
    name = used = "wrong"

    def awaitable(self, func: Sync) -> Async:
        raise ZeroDivisionError("not foreseen")


LIBRARY = Wrong()

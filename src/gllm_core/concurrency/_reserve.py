"""The reserve portals: what runs the re-entrant calls, whose own loop is blocked."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection
from contextlib import suppress
from operator import attrgetter
from typing import NamedTuple

from ._dispatch import Dispatcher
from ._portal_thread import PortalThread


class Lease(NamedTuple):
    """A reserve portal, as the one chain of calls has it that leased it."""

    depth: int
    server: PortalThread

    @property
    def ident(self) -> int | None:
        return self.server.ident


class Reserve:
    """The reserve portals, one for each depth of nesting. Without a lock, as a finalizer may lease one anywhere."""

    def __init__(self, start: Callable[[PortalThread], object]) -> None:
        self._start = start
        self._free: list[Lease] = []
        """Those that no chain of calls has."""
        self._depths = itertools.count()

    def lease(self, avoid: Collection[int | None] = ()) -> Lease:
        """A reserve portal for one re-entrant call, to be opened: the first one that no other chain of calls has, and that runs
        on none of the threads *avoid*.
        """
        for lease in sorted(list(self._free), key=attrgetter("depth")):
            if lease.ident not in avoid:
                with suppress(ValueError):  # another thread was quicker
                    self._free.remove(lease)
                    return lease if lease.server.usable else _new_lease(lease.depth)
        return _new_lease(next(self._depths))

    def open(self, lease: Lease) -> Dispatcher:
        """Its dispatcher. It is started if it is new."""
        if lease.server.fresh:
            self._start(lease.server)
        return lease.server.wait_ready()

    def give_back(self, lease: Lease) -> None:
        self._free.append(lease)


def _new_lease(depth: int) -> Lease:
    return Lease(depth, PortalThread(f"gllm-reserve-portal-{depth}"))

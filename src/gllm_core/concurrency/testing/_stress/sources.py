"""What streams and scopes of a round give: numbers in order, in one place, and a verdict on what is raised within."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from contextvars import ContextVar

import anyio
from anyio.lowlevel import checkpoint

from .history import Entry
from .rounds import Gauge, Round

LONGEST = 6
"""How many items a source has, at most."""

caller: ContextVar[int] = ContextVar("caller", default=0)
"""Which entry's consumer this is: a source runs in a copy of its consumer's context."""


class LeftError(Exception):
    """What a consumer raises to leave, or throws into the source, which may swallow it."""


class Source:
    """What one entry's function gives: numbers from zero, in one thread or task, and then its error, if it has one."""

    def __init__(self, round_: Round, entry: Entry, chosen: random.Random, gauge: Gauge | None = None) -> None:
        self._round = round_
        self._entry = entry
        self._gauge = gauge
        self._length = chosen.randrange(LONGEST + 1)
        self._naps_s = [chosen.random() ** 3 * 0.003 if chosen.random() < 0.3 else 0.0 for _ in range(self._length)]
        self.swallows = chosen.random() < 0.5
        self._made = 0
        self._where: list[object] = []

    @contextmanager
    def _open(self, here: Callable[[], object]) -> Generator[None]:
        with self._entry.running():
            self._step(here)
            if caller.get() != self._entry.number:
                self._wrong(f"sees the context of {caller.get()}")
            try:
                yield
            finally:
                self._step(here)

    def _step(self, here: Callable[[], object]) -> None:
        """Each one is where the first one was."""
        self._where.append(here())
        if self._where[-1] is not self._where[0]:
            self._wrong(f"goes on in {self._where[-1]}, and began in {self._where[0]}")

    def _wrong(self, text: str) -> None:
        self._round.history.wrong(f"call {self._entry.number} ({self._entry.what}) {text}")

    def items(self) -> Iterator[int]:
        with self._open(threading.current_thread), self._gauge.running() if self._gauge else nullcontext():
            for nap_s in self._naps_s:
                time.sleep(nap_s)
                self._step(threading.current_thread)
                self._made += 1
                try:
                    yield self._made - 1
                except LeftError:
                    if not self.swallows:
                        raise
            self._entry.result()

    async def async_items(self) -> AsyncIterator[int]:
        with self._open(asyncio.current_task):
            for nap_s in self._naps_s:
                await anyio.sleep(nap_s)
                self._step(asyncio.current_task)
                self._made += 1
                try:
                    yield self._made - 1
                except LeftError:
                    if not self.swallows:
                        raise
            self._entry.result()

    @contextmanager
    def scope(self) -> Generator[int]:
        with self._open(threading.current_thread):
            try:
                yield self._entry.result()
            except LeftError:
                if not self.swallows:
                    raise

    @asynccontextmanager
    async def async_scope(self) -> AsyncGenerator[int]:
        with self._open(asyncio.current_task):
            await checkpoint()
            try:
                yield self._entry.result()
            except LeftError:
                await checkpoint()
                if not self.swallows:
                    raise

    def got(self, item: int, before: int) -> None:
        """The consumer has *item*, and had *before*, so many, until then."""
        if item != before:
            self._wrong(f"gave {item} instead of {before}")
        if self._made > before + 2:
            self._wrong(f"has made {self._made} items when the consumer had {before + 1}")

    def is_closed(self) -> None:
        """The consumer has left."""
        if len(self._entry.ended) != len(self._entry.began):
            self._wrong("was left, and is not closed")

    def verdict(self, raised: bool) -> None:
        """The consumer has raised in the scope; whether that came out is up to the source."""
        if raised is self.swallows:
            self._wrong(f"{'swallows' if self.swallows else 'lets out'} what is raised within, and yet it {_came(raised)} out")


def _came(raised: bool) -> str:
    return "came" if raised else "did not come"

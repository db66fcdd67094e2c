"""The chain of calls that leads here: the loops that it blocks, and what stands in for them meanwhile.

It travels in the context. But a finalizer runs in whatever context its thread has at that moment, so whoever blocks a loop, or
waits below a blocked one, also says for what it waits (`Chains.waits`): what runs on the thread that is waited for is below
that chain, too, whatever it is. Where two threads come to wait for each other, each says so before it looks, so at least one of
them sees it. There is no lock: a finalizer may come anywhere.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from contextvars import Context, ContextVar
from typing import TYPE_CHECKING, Protocol

from ._anyio_internals import loop_runs_here
from ._inflight import current, loans
from ._threads import OwnThread, WorkerThread, begun_as

if TYPE_CHECKING:
    from ._dispatch import Dispatcher


class Target(Protocol):
    """What is waited for: what a thread runs, or is about to."""

    @property
    def ident(self) -> int | None:
        """The identifier of that thread, as far as it is known."""


class Block:
    """A loop's thread that waits in a syncified call, and the portal that stands in for its loop meanwhile."""

    __slots__ = ("active", "ident", "stand_in")

    def __init__(self, ident: int) -> None:
        self.ident = ident
        self.stand_in: Dispatcher | None = None
        self.active = True


Chain = tuple[Block, ...]
"""The innermost one first. One that is not active is over: what runs on after its caller is not below it any more."""


class Wait:
    """One call that waits for *target*, and the loops that wait with it."""

    __slots__ = ("chain", "target")

    def __init__(self, target: Target, chain: Chain) -> None:
        self.target = target
        self.chain = chain


class _Birth:
    """A thread that takes its first steps: until `threading` calls it alive, its starter waits."""

    __slots__ = ("_thread",)

    def __init__(self, thread: OwnThread) -> None:
        self._thread = thread

    @property
    def ident(self) -> int | None:
        return None if self._thread.is_alive() else self._thread.ident


class Chains:
    """Which loops wait for which threads. Pickled by name, where a wrapper is pickled by value."""

    __slots__ = ("get", "set", "variable", "waits")

    def __init__(self) -> None:
        self.variable: ContextVar[Chain] = ContextVar("gllm_core.concurrency.chain", default=())
        self.get, self.set = self.variable.get, self.variable.set
        self.waits: dict[Wait, None] = {}

    def __reduce__(self) -> str:
        return "chains"

    def waited_for_here(self) -> bool:
        """Whether a chain waits for this very thread, which need not be in the chain's context."""
        here = threading.get_ident()
        return any(wait.target.ident == here for wait in list(self.waits)) or _between_jobs()

    @contextmanager
    def waiting(self, target: Target) -> Generator[None]:
        """The thread waits for *target* meanwhile, and with it the loops that its chain blocks, and its own."""
        own = (Block(threading.get_ident()),) if loop_runs_here() else ()
        wait = Wait(target, (*own, *(block for block in self.get() if block.active)))
        try:
            if wait.chain:
                self.waits[wait] = None
            yield
        finally:
            try:
                self.waits.pop(wait, None)
            finally:  # once more, as Ctrl-C may have come before
                self.waits.pop(wait, None)

    def start(self, thread: OwnThread) -> None:
        """Start *thread*, which waits for its first steps: a finalizer may come there, and wait for the loop that runs here."""
        with self.waiting(_Birth(thread)):
            thread.start()

    def lead_here(self) -> bool:
        """Whether any do, perhaps ones that are over."""
        return bool(self.get()) or (bool(self.waits) and self.waited_for_here())

    def blocked(self) -> Chain:
        """The loops that cannot turn before this thread goes on: those of its chain, and those that wait for one of them."""
        blocks = {block: block.ident for block in self.get() if block.active}
        idents: set[int | None] = {threading.get_ident(), *blocks.values()}
        waits = list(self.waits)
        if waits and _between_jobs():
            idents.update(wait.target.ident for wait in waits)
        before = -1
        while len(blocks) > before:
            before = len(blocks)
            for wait in waits:
                if wait.target.ident in idents:
                    blocks.update((block, block.ident) for block in wait.chain if block.active)
            idents.update(blocks.values())
        return tuple(blocks)

    def hold_up(self, ident: int | None) -> bool:
        """Whether the loop of thread *ident* is that of this one, or cannot turn before this one goes on."""
        if ident == threading.get_ident():
            return True
        return (bool(self.get()) or bool(self.waits)) and ident in idents_of(self.blocked())


def _between_jobs() -> bool:
    """Whether this is a worker thread, about to begin a function or done with one. Any chain may wait for that, and only a
    finalizer makes a call there.
    """
    return current.job is None and isinstance(begun_as(), WorkerThread)


chains = Chains()


def idents_of(chain: Chain) -> set[int | None]:
    return {block.ident for block in chain}


def stand_in(chain: Iterable[Block], blocked: set[int | None]) -> Dispatcher | None:
    """The portal that stands in for a blocked loop of this chain already, if it is not blocked itself."""
    for block in chain:
        stand_in = block.stand_in
        if stand_in is not None and stand_in.accepts and stand_in.ident not in blocked:
            return stand_in
    return None


def adopt(context: Context) -> None:
    """Go on for the calls that *context* is one of: the loops that they block, the tokens that they lend."""
    chains.set(context.get(chains.variable, ()))
    loans.set(context.get(loans))


def _forget_parent() -> None:
    """In a forked child: those who wait stayed with the parent, and their threads' identifiers will be those of others."""
    here = threading.get_ident()
    for wait in chains.waits:
        for block in wait.chain:
            block.active = block.active and block.ident == here
    chains.waits.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)

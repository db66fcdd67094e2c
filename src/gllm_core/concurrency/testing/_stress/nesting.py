"""Calls below calls, to random depth and width, on as little as one token (A13, S7, S8)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from functools import partial

import anyio

from gllm_core.concurrency import asyncify, get_default_portal, syncify

from .history import CANCELLED, Entry
from .rounds import Round, Scenario

DEEPEST = 6
MOST = 60
"""How many calls one tree has, at most."""


class _Tree:
    """A tree of calls, each of which returns its own number after all below it have returned theirs."""

    def __init__(self, round_: Round, chosen: random.Random, may: tuple[str, ...]) -> None:
        self._round = round_
        self._random = chosen
        self._may = may
        self.size = 0

    def entry(self, what: str) -> Entry:
        self.size += 1
        return self._round.history.new(what, *self._may)

    def below(self, depth: int) -> int:
        """How many calls are made below one at *depth*."""
        return 0 if depth >= DEEPEST or self.size >= MOST else self._random.choice((0, 1, 1, 2, 3))

    def function(self, entry: Entry, depth: int) -> Callable[[], int]:
        def blocking() -> int:
            with entry.running():
                for _ in range(min(2, self.below(depth))):
                    inner = self.entry(f"syncify at depth {depth}")
                    self.settle(inner, syncify(self.coroutine_function(inner, depth + 1)))
                return entry.result()

        return blocking

    def coroutine_function(self, entry: Entry, depth: int) -> Callable[[], Awaitable[int]]:
        async def coroutine() -> int:
            with entry.running():
                async with anyio.create_task_group() as group:
                    for _ in range(self.below(depth)):
                        if self._random.random() < 0.15:  # on this loop's own thread, which it blocks
                            inner = self.entry(f"re-entrant syncify at depth {depth}")
                            self.settle(inner, syncify(self.coroutine_function(inner, depth + 1)))
                        else:
                            inner = self.entry(f"asyncify at depth {depth}")
                            group.start_soon(inner.settle_async, asyncify(self.function(inner, depth + 1))())
                return entry.result()

        return coroutine

    def settle(self, entry: Entry, call: Callable[[], int]) -> None:
        """Make the call; a cancellation goes on upwards."""
        try:
            entry.came(entry.of_value(call()))
        except BaseException as error:
            entry.came(entry.classify(error))
            raise


def _run(round_: Round) -> None:
    tokens = round_.random.choice((1, 1, 2, 40))

    async def set_tokens() -> None:
        anyio.to_thread.current_default_thread_limiter().total_tokens = tokens

    get_default_portal().call(set_tokens)
    deadline_s = round_.random.choice((None, None, 0.002, 0.02))
    may = () if deadline_s is None else (CANCELLED,)

    async def outermost(tree: _Tree, count: int) -> None:
        await set_tokens()
        with anyio.move_on_after(deadline_s):
            async with anyio.create_task_group() as group:
                for _ in range(count):
                    entry = tree.entry("asyncify, outermost")
                    group.start_soon(entry.settle_async, asyncify(tree.function(entry, 1))())

    def actor(number: int) -> None:
        chosen = round_.random_for(number)
        tree = _Tree(round_, chosen, may)
        if deadline_s is not None or chosen.random() < 0.7:
            asyncio.run(outermost(tree, chosen.randrange(1, 4)))
        else:
            entry = tree.entry("syncify, outermost")
            entry.settle(syncify(tree.coroutine_function(entry, 1)))

    with round_.faults.of_threads(may_fail=False):
        round_.in_threads(*[partial(actor, number) for number in range(round_.random.choice((1, 2, 3)))])

    async def all_back() -> int:
        limiter = anyio.to_thread.current_default_thread_limiter()
        with anyio.move_on_after(10):
            while limiter.borrowed_tokens:  # noqa: ASYNC110 # no event says that a token has come back
                await anyio.sleep(0.0005)
        return limiter.borrowed_tokens

    left = get_default_portal().call(all_back)
    if left:
        round_.history.wrong(f"{left} tokens of the portal's default limiter never came back")


SCENARIO = Scenario("nesting", "calls below calls, to random depth and width, on as little as one token", _run)

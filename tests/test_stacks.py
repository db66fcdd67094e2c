"""Where a coroutine is suspended, as dump shows it: through whatever awaits whatever."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Generator
from typing import Any

import pytest

from gllm_core.concurrency import _stacks
from gllm_core.concurrency._stacks import await_chain, links


class Awaitable:
    """One whose `__await__` is that of a coroutine: a wrapper of it, which shows no frame."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __await__(self) -> Generator[Any, None, Any]:
        return self.inner.__await__()  # type: ignore[no-any-return]


class Delegating:
    """One whose `__await__` is a generator."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __await__(self) -> Generator[Any, None, Any]:
        return (yield from self.inner.__await__())


async def innermost(future: asyncio.Future[Any]) -> Any:
    return await future


async def items(future: asyncio.Future[Any]) -> AsyncIterator[Any]:
    yield await Delegating(Awaitable(innermost(future)))


async def throws(future: asyncio.Future[Any]) -> AsyncIterator[Any]:
    try:
        yield 1
    except LookupError:
        yield await future


async def outermost(future: asyncio.Future[Any]) -> Any:
    async for item in items(future):
        return item


async def outermost_thrown(future: asyncio.Future[Any]) -> Any:
    generator: Any = throws(future)
    await anext(generator)
    return await generator.athrow(LookupError())


CHAINS = {
    outermost: ["in outermost\n", "in items\n", "in Delegating.__await__\n", "in innermost\n", "  waits for <Future pending"],
    outermost_thrown: ["in outermost_thrown\n", "in throws\n", "  waits for <Future pending"],
}


@pytest.mark.parametrize("start", CHAINS, ids=[start.__name__ for start in CHAINS])
def test_every_link_of_a_chain_is_shown_down_to_what_it_waits_for(start: Any) -> None:
    """Through async generators and `__await__` of each kind, outermost line first, the future last. proves: dump"""

    async def main() -> tuple[list[str], Any]:
        future = asyncio.get_running_loop().create_future()
        task = asyncio.ensure_future(start(future))
        await asyncio.sleep(0)
        lines = await_chain(task.get_coro())
        future.set_result(7)
        return lines, await task

    lines, value = asyncio.run(main())
    assert value == 7
    assert len(lines) == len(CHAINS[start])
    for line, part in zip(lines, CHAINS[start], strict=True):
        assert part in line


def test_what_waits_for_nothing_says_so() -> None:
    """A coroutine that has not begun shows where it is; what is no coroutine is what is waited for, cut short; None is nothing.

    proves: dump
    """

    async def idle() -> None: ...

    coroutine = idle()
    (line,) = await_chain(coroutine)
    assert line.endswith("async def idle() -> None: ...")
    coroutine.close()
    assert await_chain(None) == ["  not started, or running right now"]
    assert await_chain("x" * 1000) == [f"  waits for '{'x' * 299}..."]


def test_what_cannot_say_what_it_is_does_not_cost_the_report() -> None:
    """Something half made, whose repr raises, is told by its type, and the error by its own. proves: dump"""

    class Shy:
        def __repr__(self) -> str:
            raise ValueError("half made")

    (line,) = await_chain(Shy())
    assert line.endswith(".Shy', whose repr raised ValueError")


def test_an_iterator_that_has_let_go_of_what_it_iterated_over_is_the_end() -> None:
    """The iterator of a future that is done tells nobody what it was, and ends the chain. proves: dump"""
    with asyncio.Runner() as runner:
        future = runner.get_loop().create_future()
        over: Any = future.__await__()
        assert [link for link, _ in links(over)] == [future]
        future.set_result(None)
        assert next(over, "over") == "over"
        assert list(links(over)) == [(over, None)]


def test_what_an_iterator_refers_to_besides_is_passed_over() -> None:
    """The iterator of a future refers to its type, too, from Python 3.12 on: the future is what is waited for. proves: dump"""

    class FutureIter:
        __slots__ = ("a_type", "future")  # the collector is told of them in this order

        def __init__(self, future: asyncio.Future[Any]) -> None:
            self.a_type, self.future = type(self), future

    with asyncio.Runner() as runner:
        iterator = FutureIter(runner.get_loop().create_future())
        assert [link for link, _ in links(iterator)] == [iterator.future]


def test_a_chain_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """What awaits itself, as far as can be seen, is followed for so many links and no longer. proves: dump"""
    monkeypatch.setattr(_stacks, "_look_into", lambda link: (None, link))
    assert list(links(object())) == []
    frames = itertools.count()
    monkeypatch.setattr(_stacks, "_look_into", lambda link: (next(frames), link))
    assert len(list(links(object()))) == _stacks.LONGEST_CHAIN

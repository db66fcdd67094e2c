"""The harness's context managers as decorators: each call is a block, and what would check nothing is refused."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import anyio
import pytest

from gllm_core.concurrency import get_default_portal, syncify
from gllm_core.concurrency.testing import HangError, LeakError, fresh_portal, must_finish, no_leaks, perturb

SOON_S = 0.3


def test_a_coroutine_function_that_hangs() -> None:
    """The block is the run of the coroutine, not its making."""

    @must_finish(SOON_S)
    async def waits() -> None:
        await anyio.Event().wait()

    assert inspect.iscoroutinefunction(waits)
    assert waits.__name__ == "waits"
    for _ in range(2):
        with pytest.raises(HangError, match=r"\.waits\n"):
            asyncio.run(waits())


def test_a_coroutine_function_that_leaks() -> None:
    """A thread that it starts and leaves is seen, at each call."""
    release = threading.Event()

    @no_leaks(patience_s=0.2)
    async def leaves(number: int, *, name: str) -> str:
        threading.Thread(target=release.wait, args=(30,), name=f"{name}-{number}", daemon=True).start()
        return name

    try:
        for number in range(2):
            with pytest.raises(LeakError, match=f"thread 'left-{number}'"):
                asyncio.run(leaves(number, name="left"))
    finally:
        release.set()


def test_a_plain_function() -> None:
    """Each call is a block of its own, and gives what the function gives."""
    portals: list[object] = []

    @fresh_portal()
    def use(answer: int) -> int:
        portals.append(get_default_portal())
        return answer

    @must_finish(SOON_S)
    def waits() -> None:
        syncify(anyio.sleep_forever)()

    assert [use(1), use(2)] == [1, 2]
    assert len({id(portal) for portal in (*portals, get_default_portal())}) == 3
    with pytest.raises(HangError):
        waits()


@pytest.mark.parametrize(
    "block",
    [must_finish(1), no_leaks(), perturb(0), fresh_portal()],
    ids=["must_finish", "no_leaks", "perturb", "fresh_portal"],
)
def test_a_generator_is_refused(block: Callable[..., Any], request: pytest.FixtureRequest) -> None:
    """Its body would run when the block is over."""

    def numbers() -> Iterator[int]:
        yield 1

    async def later() -> AsyncIterator[int]:
        yield 1

    for function in (numbers, later):
        with pytest.raises(TypeError, match=rf"runs in parts.*use `with {request.node.callspec.id}\(\.\.\.\)`"):
            block(function)


def test_the_blocks_are_context_managers() -> None:
    """One is entered once, as one of `contextlib.contextmanager`."""
    block = must_finish(60)
    assert isinstance(block, AbstractContextManager)
    with block as nothing:
        assert nothing is None
    with pytest.raises(RuntimeError, match=r"call must_finish\(\) anew"), block:
        pass

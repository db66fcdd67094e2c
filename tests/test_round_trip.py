"""What a syncified call costs the loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

import pytest

from gllm_core.concurrency import get_default_portal, syncify, syncify_iterator
from gllm_core.concurrency.testing import fresh_portal
from ways_in import note_wakes


async def nothing() -> None: ...


async def count(to: int) -> Any:
    for number in range(to):
        yield number


def wakes(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> int:
    """How often *act* wakes the loop of the default portal, by either of the ways that there are."""
    loop = get_default_portal().call(asyncio.get_running_loop)
    found: list[None] = []
    with monkeypatch.context() as patch:
        note_wakes(patch, loop, lambda: found.append(None))
        act()
    return len(found)


@pytest.fixture(params=["eventfd", "no eventfd"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A default portal on a system that has the cheaper way into a loop, and on one that has not."""
    if request.param == "no eventfd":
        monkeypatch.delattr(os, "eventfd", raising=False)
    with fresh_portal():
        yield


@pytest.mark.usefixtures("system")
def test_a_call_wakes_the_loop_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred calls are a hundred wake-ups of the portal's loop, not two hundred. proves: S11"""
    call = syncify(nothing)
    call()
    assert wakes(monkeypatch, lambda: [call() for _ in range(100)]) == 100


@pytest.mark.usefixtures("system")
def test_an_item_wakes_the_loop_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred items more are a hundred wake-ups more. proves: S11, I1"""
    stream = syncify_iterator(count)
    short, long = (wakes(monkeypatch, lambda to=to: list(stream(to))) for to in (1, 101))  # type: ignore[misc] # mypy's lambdas
    assert long - short == 100

"""After a syncified call, nothing of ours keeps arguments, value or exception alive: all with the garbage collector off."""

from __future__ import annotations

import asyncio
from concurrent.futures import CancelledError

import anyio
import anyio.lowlevel
import pytest
from anyio.from_thread import BlockingPortal

from deaths import Boom, Deaths, Thing
from gllm_core.concurrency import syncify


@pytest.mark.parametrize("error", [False, True])
def test_syncify_lets_go(deaths: Deaths, portal: BlockingPortal | None, error: bool) -> None:
    """Arguments, value and exception of a syncified call die with the caller's last reference. proves: S12"""

    async def function(*_: object, **__: object) -> Thing:
        await anyio.lowlevel.checkpoint()
        if error:
            raise Boom
        return deaths.watch(Thing())  # type: ignore[no-any-return] # it is what was passed

    try:
        syncify(function, portal=portal)(deaths.watch(Thing()), key=deaths.watch(Thing()))
    except Boom as raised:
        deaths.watch(raised)
    assert deaths.all_soon()  # the loop's thread may still be on its way out of the call


@pytest.mark.parametrize("portal", ["default", "asyncio"], indirect=True)
def test_syncify_lets_go_after_cancellation(deaths: Deaths, portal: BlockingPortal | None) -> None:
    """Arguments and exception of a syncified call that was cancelled on its loop die. proves: S12"""

    async def function(_: object) -> None:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await anyio.lowlevel.checkpoint()
        raise asyncio.CancelledError

    with pytest.raises(CancelledError) as caught:
        syncify(function, portal=portal)(deaths.watch(Thing()))
    deaths.watch(caught.value)
    del caught
    assert deaths.all_soon()


@pytest.mark.filterwarnings("ignore::gllm_core.concurrency.ReentrantCallWarning")
@pytest.mark.parametrize("error", [False, True])
def test_a_reentrant_call_lets_go(deaths: Deaths, portal: BlockingPortal | None, error: bool) -> None:
    """Arguments, value and exception of a call on a reserve portal die, too. proves: S12, S8"""

    async def inner(_: object) -> Thing:
        await anyio.lowlevel.checkpoint()
        if error:
            raise Boom
        return deaths.watch(Thing())  # type: ignore[no-any-return] # it is what was passed

    async def outer(thing: object) -> None:
        try:
            syncify(inner, portal=portal)(thing)
        except Boom as raised:
            deaths.watch(raised)

    syncify(outer, portal=portal)(deaths.watch(Thing()))
    assert deaths.all_soon()

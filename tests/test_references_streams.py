"""What is thrown into a stream that cannot take it any more is not kept: with the garbage collector off."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest
from anyio import to_thread
from anyio.from_thread import start_blocking_portal

from deaths import Boom, Deaths
from gllm_core.concurrency import PortalNotRunningError, asyncify_iterator, syncify_iterator

pytestmark = pytest.mark.anyio


async def test_an_error_thrown_by_a_cancelled_consumer_is_let_go(deaths: Deaths) -> None:
    """A consumer that is cancelled already throws nothing in: its error dies with its own last reference. proves: I3, A10"""

    async def throw() -> None:
        stream = asyncify_iterator(range)(2)
        assert await anext(stream) == 0
        with anyio.CancelScope() as scope:
            scope.cancel()
            await stream.athrow(deaths.watch(Boom()))
        assert scope.cancelled_caught

    await throw()
    assert await to_thread.run_sync(deaths.all_soon)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_error_thrown_after_the_portals_end_is_let_go(deaths: Deaths, backend: str) -> None:
    """What cannot be thrown in, as the portal was stopped, dies with the consumer's last reference. proves: I3, S12"""

    async def source() -> AsyncIterator[int]:
        yield 0
        yield 1

    def throw() -> None:
        with start_blocking_portal(backend) as portal:
            stream = syncify_iterator(source, portal=portal)()
            assert next(stream) == 0
        try:
            stream.throw(deaths.watch(Boom()))
        except PortalNotRunningError as error:
            deaths.watch(error)

    throw()
    assert deaths.all_soon()

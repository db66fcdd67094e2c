"""The way into a loop that costs less than `call_soon_threadsafe`, and what becomes of it."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import selectors
import threading
import weakref
from contextvars import ContextVar
from typing import Any

import pytest

from gllm_core.concurrency import _anyio_internals, asyncify, syncify
from gllm_core.concurrency._entrance import Entrance, WayIn
from gllm_core.concurrency.testing import fresh_portal
from test_calls_further import within

pytestmark = pytest.mark.skipif(not hasattr(os, "eventfd"), reason="this system has no eventfd: call_soon_threadsafe is used")


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def nothing() -> None: ...


def nothing_blocking() -> None: ...


def seven_blocking() -> int:
    return 7


def test_what_many_threads_send_arrives_once_and_in_their_order() -> None:
    """What each of eight threads sends arrives once, in the order in which that thread sent it. proves: S2"""
    arrived: list[tuple[int, int]] = []
    over = threading.Barrier(9)

    def send(entrance: Entrance, sender: int) -> None:
        for number in range(500):
            entrance.send(arrived.append, (sender, number))
        over.wait(30)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        entrance = Entrance(loop)
        for sender in range(8):
            threading.Thread(target=send, args=(entrance, sender), daemon=True).start()
        await asyncio.to_thread(over.wait, 20)
        last = loop.create_future()
        entrance.send(last.set_result, None)
        await asyncio.wait_for(last, 30)
        entrance.close()

    asyncio.run(main())
    for sender in range(8):
        assert [number for which, number in arrived if which == sender] == list(range(500))


def test_what_raises_is_not_a_matter_of_what_was_sent_with_it() -> None:
    """Two were sent together, and the first one raises: the loop reports that, and runs the second one. proves: S5"""
    reported: list[object] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, report: reported.append(report["exception"]))
        entrance, arrived = Entrance(loop), loop.create_future()
        entrance.send(raise_it, error)
        entrance.send(arrived.set_result, None)
        await asyncio.wait_for(arrived, 30)
        entrance.close()

    def raise_it(error: Exception) -> None:
        raise error

    error = LookupError("of a callback")
    asyncio.run(main())
    assert reported == [error]


def test_a_closed_loop_refuses() -> None:
    """What would be left on a loop that is closed is refused; closing the entrance then does no harm. proves: S4"""
    loop = asyncio.new_event_loop()
    entrance = Entrance(loop)
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        entrance.send(print, "never")
    entrance.close()


def test_the_way_into_a_loop_that_is_gone_refuses() -> None:
    """A way that outlives its loop, which it does not keep alive, says that it leads nowhere. proves: A3, A10"""
    loop = asyncio.new_event_loop()
    way = WayIn(loop)
    loop.close()
    del loop
    gc.collect()
    assert way.loop() is None
    with pytest.raises(RuntimeError, match="gone"):
        way.schedule(nothing_blocking)


def test_a_portal_that_is_stopped_leaves_no_descriptor() -> None:
    """Once a portal is stopped, none of its descriptors is left, though a wrapper remembers it. proves: P3"""
    syncify(nothing)()
    gc.collect()
    before = descriptors()
    with fresh_portal() as portal:
        call = syncify(nothing, portal=portal)
        call()
        during = descriptors()
    assert during > before
    del portal
    gc.collect()
    assert descriptors() == before


def none_left(*_: object) -> int:
    raise OSError(24, "Too many open files")


def test_where_no_descriptor_is_to_be_had_functions_return_by_the_usual_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that may have no more descriptors has functions done as ever, by `call_soon_threadsafe`. proves: A11"""
    monkeypatch.setattr(os, "eventfd", none_left)
    assert asyncio.run(asyncify(seven_blocking)()) == 7


def test_where_no_descriptor_is_to_be_had_calls_take_the_usual_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that may have no more descriptors still serves calls, by `call_soon_threadsafe`. proves: S2"""

    async def three() -> int:
        return 3

    monkeypatch.setattr(os, "eventfd", none_left)
    with fresh_portal():
        assert syncify(three)() == 3


def test_a_loop_that_is_closed_takes_its_descriptors_along() -> None:
    """A loop whose functions returned by the cheaper way has no descriptor left once it is closed. proves: A11, A10"""
    gc.collect()
    gc.disable()
    try:
        before = descriptors()
        asyncio.run(asyncify(nothing_blocking)())
        within(lambda: descriptors() == before)  # the worker thread may have it still, on its way out of the wake-up
    finally:
        gc.enable()


def test_a_loop_that_takes_turns_with_others_has_one_way_in() -> None:
    """A loop that runs between shorter ones, and on one thread after another, needs no descriptor for each turn. proves: A11"""
    gc.collect()
    call = asyncify(nothing_blocking)
    with asyncio.Runner() as runner:
        runner.run(call())
        before = descriptors()
        for _ in range(5):
            asyncio.run(call())
            runner.run(call())
            thread = threading.Thread(target=runner.get_loop().run_until_complete, args=(call(),), daemon=True)
            thread.start()
            thread.join(30)
            assert not thread.is_alive()
        within(lambda: descriptors() == before)  # a worker thread may have that of a shorter loop still


def test_a_wake_up_that_another_process_took_along_is_no_error() -> None:
    """A loop whose counter was read by another, as a forked process may do, runs what is there in silence. proves: A11"""
    reported: list[object] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, report: reported.append(report))
        entrance, arrived, thief = Entrance(loop), loop.create_future(), os.eventfd(0)

        def steal() -> None:
            os.eventfd_read(thief)
            os.eventfd_read(entrance.fileno())

        loop.add_reader(thief, steal)
        os.eventfd_write(thief, 1)  # before the other, and so heard before it
        entrance.send(arrived.set_result, None)
        await asyncio.wait_for(arrived, 30)
        await asyncio.sleep(0)
        loop.remove_reader(thief)
        os.close(thief)
        entrance.close()

    asyncio.run(main())
    assert reported == []


def test_a_loop_that_selects_survives_high_descriptors() -> None:
    """A loop whose selector cannot wait for descriptors from 1024 on has calls, and goes on, when all lower ones are taken.

    proves: A11
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2048:
        pytest.skip("this process may not have that many descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
    taken: list[int] = []
    try:
        with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
            runner.get_loop()
            while not taken or taken[-1] < 1024:
                taken.append(os.open(os.devnull, os.O_RDONLY))
            for _ in range(2):
                assert runner.run(asyncify(seven_blocking)()) == 7
    finally:
        for number in taken:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_context_of_the_first_call_is_not_kept() -> None:
    """What the first awaiter on a loop had in its context is gone after its call, though the loop runs on. proves: A10"""

    class Thing:
        pass

    async def call(variable: ContextVar[object]) -> weakref.ref[Thing]:
        thing = Thing()
        variable.set(thing)
        await asyncify(nothing_blocking)()
        return weakref.ref(thing)

    async def main() -> None:
        kept = await asyncio.create_task(call(ContextVar("variable")))
        await asyncio.sleep(0)  # the loop itself has the context of what it ran last
        gc.collect()
        assert kept() is None

    asyncio.run(main())


@pytest.mark.parametrize("wake", ["eventfd", "no eventfd"])
def test_a_loop_of_another_make_is_woken_in_its_own_way(wake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that we do not know, and one on a system without eventfd, are woken by `call_soon_threadsafe`. proves: A11"""

    class Known(asyncio.SelectorEventLoop):
        woken = 0

        def __init__(self) -> None:
            super().__init__()
            self._wake, self.call_soon_threadsafe = self.call_soon_threadsafe, self._note  # type: ignore[method-assign, assignment]

        def _note(self, *args: Any, **kwargs: Any) -> asyncio.Handle:
            type(self).woken += 1
            return self._wake(*args, **kwargs)

    if wake == "no eventfd":
        monkeypatch.delattr(os, "eventfd")
    else:
        monkeypatch.setattr(asyncio, "SelectorEventLoop", type(None))
        monkeypatch.delattr(_anyio_internals.asyncio, "SelectorEventLoop", raising=False)
    with asyncio.Runner(loop_factory=Known) as runner:
        runner.run(asyncify(nothing_blocking)())
        assert Known.woken == 1
    monkeypatch.undo()
    vars(_anyio_internals.asyncio).pop("SelectorEventLoop", None)  # it was looked up meanwhile
    with asyncio.Runner(loop_factory=Known) as runner:
        runner.run(asyncify(nothing_blocking)())
        assert Known.woken == 1

"""no_leaks finds what was planted, names it, and says nothing of what is meant to stay."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio
import pytest

from gllm_core.concurrency import asyncify, get_default_portal, syncify
from gllm_core.concurrency.testing import LeakError, fresh_portal, no_leaks
from subprocess_tools import run_program

SOON_S = 0.2
"""How long a planted leak is looked at, in seconds."""


@contextmanager
def planted_thread() -> Iterator[None]:
    release = threading.Event()
    thread = threading.Thread(target=release.wait, name="planted")
    with no_leaks(patience_s=SOON_S):
        thread.start()
        try:
            yield
        except BaseException:
            release.set()
            raise
    release.set()
    thread.join()


def leaked(leave: Callable[[], object], **options: str) -> list[str]:
    with pytest.raises(LeakError) as caught, no_leaks(patience_s=SOON_S, ignore=options.get("ignore")):
        leave()
    assert all(thing in str(caught.value) for thing in caught.value.things)
    return caught.value.things


def test_thread() -> None:
    """A thread that runs on is reported by its name."""
    release = threading.Event()
    thread = threading.Thread(target=release.wait, name="planted")
    (text,) = leaked(thread.start)
    release.set()
    thread.join()
    assert text.startswith("thread 'planted', in ")


def test_busy_worker() -> None:
    """A worker thread that still runs an abandoned function is reported; an idle one is not."""
    release, began = threading.Event(), threading.Event()

    def planted() -> None:
        began.set()
        release.wait()

    async def abandon() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(asyncify(planted, cancellable=True))
            await asyncify(began.wait)()
            group.cancel_scope.cancel()

    things = leaked(lambda: asyncio.run(abandon()))
    release.set()
    with no_leaks():
        asyncio.run(asyncify(int)())
    assert any(text.startswith("thread 'gllm-worker-") for text in things)
    assert any(text.endswith("borrowed by test_busy_worker.<locals>.planted") for text in things), things


def test_task_and_call() -> None:
    """A task that a portal still runs is reported with where it is, and so is the call that waits for it."""
    began, release = threading.Event(), anyio.Event()

    async def planted() -> None:
        began.set()
        await release.wait()

    def leave() -> None:
        threading.Thread(target=syncify(planted), name="caller").start()
        began.wait()

    things = leaked(leave)
    with no_leaks():  # all that is there already is known
        get_default_portal().call(release.set)
    assert any(text.startswith("task ") and "planted' on gllm-default-portal" in text for text in things), things
    assert "syncified call 'test_task_and_call.<locals>.planted' in flight" in things
    assert any(text.startswith("thread 'caller', in ") for text in things)


def test_descriptor() -> None:
    """A descriptor that stays open is reported with what it is open for."""
    kept: list[int] = []
    (text,) = leaked(lambda: kept.append(os.open(os.devnull, os.O_RDONLY)))
    os.close(kept[0])
    assert text == f"descriptor {kept[0]}: {os.devnull}"


def test_token() -> None:
    """A token that was not given back is reported, whoever's limiter it is."""
    limiters: list[anyio.CapacityLimiter] = []

    async def borrow() -> None:
        limiters.append(anyio.CapacityLimiter(3))
        limiters[0].acquire_on_behalf_of_nowait("somebody")

    (text,) = leaked(lambda: asyncio.run(borrow()))
    assert text == "token 1 of a limiter of 3, borrowed by str"


def test_a_limiter_without_statistics_is_passed_over() -> None:
    """One of a user's own need not keep any; that is no leak, and no error of a test that does not use it."""

    class Own(anyio.CapacityLimiter):
        def __new__(cls, total_tokens: float) -> Own:
            return object.__new__(cls)

    own = Own(1)
    with no_leaks(patience_s=SOON_S):
        pass
    with pytest.raises(NotImplementedError), no_leaks(limiters=[own]):
        pass


def test_what_stays_is_known() -> None:
    """The default portal, a reserve portal and idle workers are no leaks, though the block starts them."""

    async def nested() -> int:
        return syncify(asyncify(int))("42")

    with no_leaks(patience_s=5):
        portal = get_default_portal()
        portal.call(portal.stop)
        with pytest.warns(RuntimeWarning):
            assert syncify(nested)() == 42


@pytest.mark.parametrize("watch_s", ["0", "60"])
def test_what_the_first_use_makes_is_known(watch_s: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process's first calls start stays, and is known: the portal, a worker thread, their descriptors, the watch."""
    monkeypatch.setenv("GLLM_CONCURRENCY_WATCH", watch_s)
    run_program(
        """
from gllm_core.concurrency import asyncify, syncify
from gllm_core.concurrency.testing import no_leaks
with no_leaks(patience_s=0.2):
    print(syncify(asyncify(int))("42"))
"""
    ).expect("42")


def test_what_a_loop_keeps_is_known() -> None:
    """Threads that AnyIO and asyncio keep for the loop of the default portal, as for files and for names, are no leaks, though
    what runs on one is; nor are they where they are kept for the loop of the block.
    """
    begun, release = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        release.wait()

    async def look() -> None:
        await anyio.Path(os.devnull).exists()
        await anyio.getaddrinfo("127.0.0.1", 80)

    async def look_here() -> None:
        with no_leaks(patience_s=SOON_S):
            await look()

    async def leave() -> None:
        asyncio.get_running_loop().run_in_executor(None, wait)
        begun.wait()

    with fresh_portal():
        with no_leaks(patience_s=SOON_S):
            syncify(look)()
        try:
            (text,) = leaked(syncify(leave))
        finally:
            release.set()
    assert text.startswith("thread 'asyncio_0', daemonic, in Condition.wait")
    asyncio.run(look_here())


def test_what_ends_soon_is_waited_for() -> None:
    """What is gone before the patience is over is no leak."""
    release = threading.Event()
    with no_leaks(patience_s=10):
        threading.Thread(target=release.wait).start()
        threading.Timer(0.05, release.set).start()


def test_a_weak_proxy_of_nothing_does_not_matter() -> None:
    """Whatever is on the heap is asked by its type only, when limiters are looked for."""
    thing = threading.Event()
    gone = weakref.proxy(thing)
    del thing
    with no_leaks():
        pass
    with pytest.raises(ReferenceError):
        str(gone)


def test_ignore() -> None:
    """A leak whose text matches the filter is not reported."""
    release = threading.Event()
    thread = threading.Thread(target=release.wait, name="planted")
    with no_leaks(patience_s=SOON_S, ignore="thread 'plan"):
        thread.start()
    release.set()
    thread.join()


def test_error_of_the_block_comes_first() -> None:
    """A block that raises is not asked for leaks: its own error is what matters."""
    with pytest.raises(ZeroDivisionError), planted_thread():
        raise ZeroDivisionError

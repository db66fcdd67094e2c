"""fresh_portal gives a default portal of its own, and takes all of it away."""

from __future__ import annotations

import threading
import warnings
from concurrent.futures import CancelledError
from contextlib import suppress

import anyio
import pytest

from gllm_core.concurrency import PortalNotRunningError, get_default_portal, syncify
from gllm_core.concurrency.testing import fresh_portal, no_leaks


def portal_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("gllm-") and "portal" in thread.name}


def test_set_aside_and_back() -> None:
    """The former default portal is untouched, and the default again afterwards; the fresh one is gone."""
    before = get_default_portal()
    threads = portal_threads()
    with fresh_portal() as portal:
        assert portal is get_default_portal()
        assert portal is not before
        assert syncify(anyio.sleep)(0) is None
        assert before.call(len, "ab") == 2
    assert get_default_portal() is before
    assert portal_threads() <= threads  # an earlier test's may have ended meanwhile
    with pytest.raises(PortalNotRunningError):
        syncify(anyio.sleep, portal=portal)(0)


def test_replacements_and_reserves_go_too() -> None:
    """Whatever portals the block has started, in the place of the first or in reserve, are gone afterwards."""

    async def nested() -> None:
        syncify(anyio.sleep)(0)

    get_default_portal()
    threads = portal_threads()
    with no_leaks(), fresh_portal() as portal:
        portal.call(portal.stop)
        assert get_default_portal() is not portal
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            syncify(nested)()
    assert portal_threads() <= threads  # an earlier test's may have ended meanwhile


def test_calls_left_in_flight_are_cancelled() -> None:
    """What the block leaves in flight is cancelled, and its `finally` blocks have run when the block is over."""
    began, ended = threading.Event(), threading.Event()

    async def endless() -> None:
        began.set()
        try:
            await anyio.sleep_forever()
        finally:
            await anyio.lowlevel.checkpoint()
            ended.set()

    def call() -> None:
        with suppress(CancelledError):
            syncify(endless)()

    with fresh_portal():
        thread = threading.Thread(target=call)
        thread.start()
        began.wait()
    assert ended.is_set()
    thread.join()


def test_resistance_is_reported() -> None:
    """A call that resists its cancellation is named."""
    release = threading.Event()
    began = threading.Event()

    async def stubborn() -> None:
        began.set()
        release.wait()

    def call() -> None:
        with suppress(PortalNotRunningError, CancelledError):
            syncify(stubborn)()

    thread = threading.Thread(target=call)
    with pytest.raises(RuntimeError, match="stubborn"), fresh_portal(grace_s=0.2):  # noqa: PT012 # it raises at the end
        thread.start()
        began.wait()
    release.set()
    thread.join()

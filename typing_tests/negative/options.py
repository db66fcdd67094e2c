"""Options by position, of the wrong type, of the wrong name."""

import asyncio
import threading

from anyio import CapacityLimiter, Semaphore
from anyio.from_thread import BlockingPortal, start_blocking_portal

from gllm_core.concurrency import asyncify, syncify

limiter = CapacityLimiter(1)


def work(x: int) -> str: ...
async def async_work(x: int) -> str: ...


def of_asyncify(semaphore: Semaphore, portal: BlockingPortal, maybe_flag: bool | None) -> None:
    asyncify(work, True)  # E
    asyncify(work, limiter)  # E
    asyncify(work, False, limiter)  # E
    asyncify(None, True)  # E
    asyncify(work, cancellable="yes")  # E
    asyncify(work, cancellable=None)  # E
    asyncify(work, cancellable=maybe_flag)  # E
    asyncify(work, cancellable=True, limiter=1)  # E
    asyncify(work, limiter=1)  # E
    asyncify(work, limiter=semaphore)  # E
    asyncify(work, limiter=asyncio.Semaphore(1))  # E
    asyncify(work, limiter=threading.Semaphore(1))  # E
    asyncify(work, limiter=CapacityLimiter)  # E
    asyncify(work, limiter=portal)  # E
    asyncify(work, limiter=limiter, cancellable="yes")  # E
    asyncify(work, portal=portal)  # E
    asyncify(work, abandon_on_cancel=True)  # E
    asyncify(function=work)  # E
    asyncify(async_func=work)  # E
    asyncify(work, func=work)  # E
    asyncify(limiter)  # E
    asyncify(limiter=1)  # E
    asyncify(cancellable="yes")  # E
    asyncify(cancellable=True, limiter=1)  # E
    asyncify(colour=1)  # E


def of_syncify(portal: BlockingPortal) -> None:
    syncify(async_work, portal)  # E
    syncify(None, portal)  # E
    syncify(async_work, portal=1)  # E
    syncify(async_work, portal=True)  # E
    syncify(async_work, portal=BlockingPortal)  # E
    syncify(async_work, portal=start_blocking_portal)  # E
    syncify(async_work, portal=start_blocking_portal())  # E
    syncify(async_work, limiter=limiter)  # E
    syncify(async_work, cancellable=True)  # E
    syncify(func=async_work)  # E
    syncify(async_work, async_func=async_work)  # E
    syncify(portal)  # E
    syncify(portal=1)  # E
    syncify(colour=1)  # E


@asyncify(limiter=1)  # E
def wrong_limiter(x: int) -> str: ...


@asyncify(cancellable="yes")  # E
def wrong_flag(x: int) -> str: ...


@syncify(portal="default")  # E
async def wrong_portal(x: int) -> str: ...

"""All that we touch of AnyIO, asyncio and sniffio beyond their public APIs, feature-detected, in one place.

Nothing here is needed for a call to be correct on a future AnyIO that moves these names: `HAS_WORKER_THREADLOCALS`
turns false and asyncify goes through `anyio.to_thread.run_sync`; an unknown portal thread means that a dead portal is
noticed later (by its stop event or its closed loop).
"""

from __future__ import annotations

import sys
import threading
from asyncio import AbstractEventLoop
from asyncio.events import _get_running_loop as _running_asyncio_loop  # pyright: ignore[reportPrivateUsage] # public by asyncio's __all__
from contextvars import Context
from importlib import import_module
from typing import Any

from anyio.from_thread import BlockingPortal

_threadlocals: Any = getattr(sys.modules.get("anyio._core._eventloop"), "threadlocals", None)

HAS_WORKER_THREADLOCALS = isinstance(_threadlocals, threading.local)
"""Whether our own worker threads can be made known to `anyio.from_thread`."""


def enter_worker(token: object, cancel_scope: object) -> None:
    """Make `anyio.from_thread` work on this thread, for the loop of *token* and below *cancel_scope*."""
    _threadlocals.current_token = token
    _threadlocals.current_cancel_scope = cancel_scope


def leave_worker() -> None:
    """Forget what `enter_worker` set: an idle thread must not keep a loop alive."""
    del _threadlocals.current_cancel_scope
    del _threadlocals.current_token


def portal_thread_ident(portal: BlockingPortal) -> int | None:
    """The identifier of the thread that runs *portal*'s loop; None once the portal was stopped."""
    ident: int | None = getattr(portal, "_event_loop_thread_id", -1)
    return ident


def running_asyncio_loop() -> AbstractEventLoop | None:
    """The asyncio loop that is running on this thread, unless it is the host of a trio run (guest mode)."""
    loop: AbstractEventLoop | None = _running_asyncio_loop()
    return loop if loop is None or not _other_library_here() else None


def loop_runs_here() -> bool:
    """Whether an event loop of any kind is running on this thread."""
    loop: AbstractEventLoop | None = _running_asyncio_loop()
    return loop is not None or _other_library_here()


def _other_library_here() -> bool:
    # trio announces itself through sniffio; where sniffio was never imported, trio was not either.
    sniffio = sys.modules.get("sniffio")
    return sniffio is not None and sniffio.thread_local.name is not None


def forget_async_library(context: Context) -> None:
    """In *context*, unset sniffio's notion of the running library: it is the caller's, not that of where *context* goes."""
    sniffio = sys.modules.get("sniffio")
    if sniffio is not None and context.get(sniffio.current_async_library_cvar) is not None:
        context.run(sniffio.current_async_library_cvar.set, None)


def import_asyncio_backend() -> None:
    """Import AnyIO's asyncio backend now, which AnyIO does lazily: a fork in the midst of it would hang the child."""
    import_module("anyio._backends._asyncio")

"""All that the harness looks at inside the library and inside AnyIO, in one place. Only `fresh_portal` changes anything.

The modules are looked up by name, so that nothing here is bound to their types: a harness that fails to import because the
library has moved a private name could not say what is wrong with it. What is not found counts as nothing.
"""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from types import FrameType
from typing import Any

from anyio import CapacityLimiter


def room(name: str) -> Any:
    """The library's module of that name, for instance `_portal`."""
    return import_module(f"gllm_core.concurrency.{name}")


def portals() -> Any:
    """The registry of this process's portals."""
    return room("_portal").portals


def live_servers() -> list[Any]:
    """The portals that are meant to live on between calls: the default one, and the reserve."""
    return [server for server in list(portals()._started) if server.usable]


def server_loop(server: Any) -> asyncio.AbstractEventLoop | None:
    """The asyncio loop of one of our portals, once it is ready."""
    tasks = getattr(server.dispatcher, "_tasks", None)
    return getattr(tasks, "_loop", None)


def server_threads() -> set[int]:
    """The identifiers of the threads of the portals that live on between calls."""
    idents: set[int | None] = {getattr(getattr(server, "_thread", None), "ident", None) for server in live_servers()}
    return {ident for ident in idents if ident is not None}


def server_descriptors() -> set[int]:
    """The descriptors of the loops of those portals: the selector's, the pipe's that wakes it, our own ways in."""
    found: set[int] = set()
    for server in live_servers():
        loop = server_loop(server)
        for name in ("_selector", "_ssock", "_csock"):
            part: Any = getattr(loop, name, None)
            with suppress(AttributeError, ValueError, OSError, RuntimeError):
                found.add(part.fileno())
        found.update(_ways_in(loop))
    return found


def _ways_in(loop: Any) -> Iterator[int]:
    """The descriptors of all entrances to *loop*: for calls that come in, and for functions that return."""
    with suppress(AttributeError, RuntimeError):  # no selector that can be asked, or it changes meanwhile: the next look sees
        for key in list(loop._selector.get_map().values()):
            reader, _writer = key.data
            if isinstance(getattr(getattr(reader, "_callback", None), "__self__", None), room("_entrance").Entrance):
                yield key.fd


def server_tasks() -> dict[asyncio.Task[Any], str]:
    """The tasks on those portals, save the one that is the portal, with the portal's name."""
    found: dict[asyncio.Task[Any], str] = {}
    for server in live_servers():
        loop = server_loop(server)
        if loop is None or loop.is_closed():
            continue
        for task in asyncio.all_tasks(loop):
            if getattr(task.get_coro(), "__qualname__", "") != "PortalThread._main":
                found[task] = server._thread.name
    return found


def calls_in_flight() -> list[str]:
    """The name of each syncified call that waits for its outcome, whatever portal it is on."""
    dispatchers = [ref() for ref in room("_registry").registry.dispatchers.valuerefs()]
    return [name for dispatcher in dispatchers if dispatcher is not None for name in dispatcher.names_in_flight()]


def limiters() -> list[CapacityLimiter]:
    """Every limiter of the process, found through the garbage collector. Takes milliseconds."""
    # By its type: `isinstance` asks the thing itself, and a weak proxy raises, or a lazy object comes to life.
    found: list[CapacityLimiter] = [thing for thing in gc.get_objects() if issubclass(type(thing), CapacityLimiter)]
    # One that was made outside a loop hands all on to another, made at its first use, which is found, too. And a user's own
    # may keep no statistics.
    return [
        limiter
        for limiter in found
        if not hasattr(limiter, "_internal_limiter") and type(limiter).statistics is not CapacityLimiter.statistics
    ]


def shared_limiters() -> list[CapacityLimiter]:
    """The limiters that were passed to `asyncify`."""
    return [turnstile.limiter for turnstile in tuple(room("_turnstile")._turnstiles.values())]


def stop(servers: list[Any], grace_s: float) -> list[str]:
    """Stop portals of ours as the interpreter's exit does: gently, then roughly. Returns the names of what is left."""
    deadline = time.monotonic() + grace_s
    for server in servers:
        server.begin_stop(deadline)
    for server in servers:
        server.wait_idle(deadline - grace_s / 2)
    for server in servers:
        server.stop()
    left: list[str] = []
    for server in reversed(servers):
        names = server.end(deadline)
        if names:
            loop = server_loop(server)
            if loop is not None:
                with suppress(RuntimeError):  # it ends just now
                    loop.call_soon_threadsafe(_stop_here, server)  # as soon as what blocks the loop lets it
        left += names
    return left


def _stop_here(server: Any) -> None:
    server.last_will = asyncio.get_running_loop().create_task(server.portal.stop(True))


_IDLE_IN = ("gllm_core/concurrency/_workers.py", "gllm_core/concurrency/_watch.py", "trio/_core/_thread_cache.py")
"""The watch among them: it is started by the first use, where it is asked for, and stays."""


_EXECUTOR = "concurrent/futures/thread.py"


def is_idle_worker(thread: threading.Thread, frame: FrameType) -> bool:
    """Whether *thread*, whose innermost frame that is, waits for work in a cache of worker threads that outlives it: ours or
    trio's, AnyIO's of a loop that is not closed, the default executor of a loop that is known here.
    """
    file = frame.f_code.co_filename.replace("\\", "/")
    if file.endswith(_EXECUTOR) and frame.f_code.co_name == "_worker":
        return any(thread in _executor_threads(loop) for loop in _known_loops())
    return file.endswith(_IDLE_IN) or _idles_for_anyio(thread)


def _known_loops() -> list[object]:
    return [asyncio._get_running_loop(), *(server_loop(server) for server in live_servers())]


def _executor_threads(loop: object) -> set[threading.Thread]:
    """The threads of its default executor, if there is nothing to be done."""
    executor: Any = getattr(loop, "_default_executor", None)
    with suppress(AttributeError):  # there is none, or it is of another kind
        if executor._work_queue.empty():
            threads: set[threading.Thread] = executor._threads
            return threads
    return set()


def _idles_for_anyio(thread: Any) -> bool:
    with suppress(AttributeError, RuntimeError):  # none of AnyIO's; or the cache changes meanwhile: the next look sees
        return thread in thread.idle_workers and not thread.loop.is_closed()
    return False

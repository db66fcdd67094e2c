"""Which portal a call runs on: the default portal (birth, health, fork, exit), the reserve portals, the user's own."""

from __future__ import annotations

import atexit
import functools
import logging
import os
import threading
import time
import weakref
from contextvars import Context, copy_context
from typing import Any

import anyio
from anyio.from_thread import BlockingPortal

from ._anyio_internals import import_asyncio_backend
from ._dispatch import Call, Dispatcher, portal_is_alive
from ._errors import PortalNotRunningError

SHUTDOWN_GRACE_S = 3.0
"""How long the interpreter's exit waits, at most, for cancelled calls to end, in seconds."""

logger = logging.getLogger("gllm_core.concurrency")


class PortalThread:
    """One portal of ours, on a daemonic thread of its own."""

    def __init__(self, name: str) -> None:
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self.starter: int | None = None
        self.portal: BlockingPortal | None = None
        self.dispatcher: Dispatcher | None = None

    def start(self) -> None:
        self.starter = threading.get_ident()
        try:
            self._thread.start()
        except BaseException as error:
            self._error = error
            self._ready.set()
            raise PortalNotRunningError(f"the portal's thread could not be started: {error}") from error
        finally:
            self.starter = None

    @property
    def usable(self) -> bool:
        """Whether it takes calls, or is about to."""
        if not self._ready.is_set():
            return True
        return self._error is None and self.dispatcher is not None and self.dispatcher.accepts

    def wait_ready(self) -> Dispatcher:
        self._ready.wait()
        if self.dispatcher is None:
            raise PortalNotRunningError(f"the portal could not be started: {self._error}") from self._error
        return self.dispatcher

    def inherit(self) -> None:
        """In a forked child: whoever waits here (a fork in a signal handler) must not wait for a thread of the parent."""
        self._error = PortalNotRunningError("the portal belongs to the parent process")
        self._ready = threading.Event()
        self._ready.set()

    def stop(self, grace_s: float) -> list[str]:
        """Cancel what runs, wait at most *grace_s* seconds for its end, and say what is left."""
        deadline = time.monotonic() + grace_s
        self._ready.wait(grace_s)
        dispatcher = self.dispatcher
        if dispatcher is None or self.portal is None:
            return []
        # First once, as asyncio cancels, so that `finally` blocks may await; then as AnyIO does, whatever is awaited.
        dispatcher.cancel_all()
        while dispatcher.names_in_flight() and time.monotonic() < deadline - grace_s / 2:
            self._thread.join(0.001)
        stop = Call(self.portal.stop, (True,), {}, copy_context(), "BlockingPortal.stop", dispatcher)
        if dispatcher.hand_over(stop):
            self._thread.join(max(0.0, deadline - time.monotonic()))
        else:
            self._thread.join(max(0.0, deadline - time.monotonic()))
        if not self._thread.is_alive():
            return []
        return dispatcher.names_in_flight() or [self._thread.name]

    def _run(self) -> None:
        try:
            Context().run(functools.partial(anyio.run, self._main, backend="asyncio"))
        except BaseException as error:  # the thread ends here; calls in flight got their own outcome
            if self._ready.is_set():
                logger.error("the portal of thread %r crashed", self._thread.name, exc_info=error)
            self._error = error
        finally:
            self._ready.set()

    async def _main(self) -> None:
        async with BlockingPortal() as portal:
            self.portal = portal
            self.dispatcher = Dispatcher(portal)
            await self.dispatcher.serve(portal, on_open=self._ready.set)


class Portals:
    """The portals of this process.

    `_lock` guards all fields; it is re-entrant for the same reason as the dispatcher's. No thread is started, and
    nothing waited for, by a thread that could be inside `start` already: `starter` says so.
    """

    def __init__(self) -> None:
        self._reset()
        self._closed = False

    def _reset(self) -> None:
        self._lock = threading.RLock()
        self._default: PortalThread | None = None
        self._started: list[PortalThread] = []
        self._reserve: list[PortalThread] = []
        self._leased: set[PortalThread] = set()
        self._foreign: weakref.WeakKeyDictionary[BlockingPortal, Dispatcher] = weakref.WeakKeyDictionary()

    def default(self) -> PortalThread:
        """The default portal, started if there is none that is live."""
        while True:
            server = self._default
            if server is None or not server.usable:
                server = self._replace_default()
            if server.starter == threading.get_ident():
                raise PortalNotRunningError("the default portal is being started by this very thread, further up its stack")
            server.wait_ready()
            if server.usable:
                return server

    def _replace_default(self) -> PortalThread:
        with self._lock:
            server = self._default
            if server is not None and server.usable:
                return server
            server = self._new("gllm-default-portal")
            self._default = server
            server.start()
            return server

    def _new(self, name: str) -> PortalThread:
        if self._closed:
            raise PortalNotRunningError("the default portal was shut down: the interpreter is exiting")
        import_asyncio_backend()
        server = PortalThread(name)
        self._started = [started for started in self._started if started.usable]
        self._started.append(server)
        return server

    def lease(self) -> PortalThread:
        """A reserve portal for one re-entrant call: the first one that no other chain of calls has."""
        with self._lock:
            for depth, server in enumerate(self._reserve):
                if server not in self._leased:
                    if not server.usable:
                        server = self._reserve[depth] = self._new(f"gllm-reserve-portal-{depth}")
                        server.start()
                    break
            else:
                server = self._new(f"gllm-reserve-portal-{len(self._reserve)}")
                self._reserve.append(server)
                server.start()
            self._leased.add(server)
        server.wait_ready()
        return server

    def give_back(self, server: PortalThread) -> None:
        with self._lock:
            self._leased.discard(server)

    def of(self, portal: BlockingPortal) -> Dispatcher:
        """The dispatcher of *portal*, made at its first call."""
        with self._lock:
            for server in self._started:
                if server.portal is portal and server.dispatcher is not None:
                    return server.dispatcher
            dispatcher = self._foreign.get(portal)
            if dispatcher is None:
                if not portal_is_alive(portal):
                    raise PortalNotRunningError(
                        "the portal given to syncify() is not running: "
                        "it was stopped, its thread died, or it belongs to a parent process"
                    )
                dispatcher = self._foreign[portal] = Dispatcher(portal)
            return dispatcher

    def attach(self, portal: BlockingPortal, dispatcher: Dispatcher) -> None:
        """Start serving a portal that is not ours, from a thread that AnyIO may block for ever (it can, as portals close)."""
        threading.Thread(target=_attach, args=(portal, dispatcher), name="gllm-portal-attach", daemon=True).start()

    def shut_down(self) -> None:
        """At interpreter exit: after the program's own handlers, within SHUTDOWN_GRACE_S."""
        with self._lock:
            self._closed = True
            started, self._started = self._started, []
        if not started:
            return
        _silence_daemon_threads()
        deadline = time.monotonic() + SHUTDOWN_GRACE_S
        left: list[str] = []
        for server in reversed(started):
            left += server.stop(max(0.1, deadline - time.monotonic()))
        if left:
            logger.error("still running at exit, after %s s of grace: %s", SHUTDOWN_GRACE_S, ", ".join(left))

    def after_fork_in_child(self) -> None:
        inherited = self._started
        self._reset()
        for server in inherited:
            server.inherit()


def _attach(portal: BlockingPortal, dispatcher: Dispatcher) -> None:
    try:
        portal.start_task_soon(dispatcher.serve, portal)
    except BaseException:  # noqa: BLE001 # whatever it is, nobody serves the portal: the calls that wait for it must end
        dispatcher.bury()


def _silence_daemon_threads() -> None:
    """A daemonic thread whose call was ended by the exit ends in silence; other exceptions are reported as ever."""
    from concurrent.futures import CancelledError

    report = threading.excepthook

    def hook(args: Any) -> None:
        if not (isinstance(args.exc_value, (PortalNotRunningError, CancelledError)) and args.thread and args.thread.daemon):
            report(args)

    threading.excepthook = hook


portals = Portals()
# Registered at import, so that it runs after the handlers that the program registers later.
atexit.register(portals.shut_down)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=portals.after_fork_in_child)


def get_default_portal() -> BlockingPortal:
    """Return the process-wide portal, starting it if none is live.

    Returns:
        An AnyIO `BlockingPortal` whose asyncio loop runs on a daemonic thread of its own. It is live when this returns: one
        that was stopped, crashed or was inherited through `fork` is replaced.

    Raises:
        PortalNotRunningError: the interpreter is exiting, or no thread can be started.

    **Threads:** may be called from any thread; a race of first users starts one portal.
    """
    portal = portals.default().portal
    assert portal is not None
    return portal

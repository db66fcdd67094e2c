"""Which portal a call runs on: the default portal (birth, health, fork, exit), or the user's own."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import weakref
from contextlib import suppress
from functools import partial
from math import inf
from typing import Any

from anyio.from_thread import BlockingPortal

from ._anyio_internals import ask_portal_to_start, portal_thread_ident
from ._call import not_running
from ._chain import chains
from ._dispatch import Dispatcher, portal_is_alive
from ._errors import PortalNotRunningError
from ._log import fields, logger
from ._portal_thread import PortalThread
from ._reserve import Reserve
from ._threads import OwnThread, refuse_greenlets

SHUTDOWN_GRACE_S = 3.0
"""How long the interpreter's exit waits, at most, for cancelled calls to end, in seconds."""

UNSEEN_PORTAL_S = 2.0
"""How long a forked child waits for the answer of a portal that may be its parent's, in seconds."""


class Portals:
    """The portals of this process.

    There is no lock: a signal handler or a `__del__` may come anywhere, and wait for a thread that would wait for it. What
    several threads may do at once is one operation on a list or dict, which is atomic. No thread is waited for by one that
    could be inside its start: `starter` says so.
    """

    def __init__(self) -> None:
        self._reset()
        self._closed = False
        self._of_parent: weakref.WeakSet[BlockingPortal] = weakref.WeakSet()
        """The portals seen before this process was forked off."""
        self._threads_of_parent: frozenset[int | None] = frozenset()

    def __reduce__(self) -> str:  # by name, where a wrapper is pickled by value: there, it means the portals of that process
        return "portals"

    def _reset(self) -> None:
        self.begin_anew()
        self._started: list[PortalThread] = []
        self._foreign: weakref.WeakKeyDictionary[BlockingPortal, Dispatcher] = weakref.WeakKeyDictionary()
        self._seen: weakref.WeakSet[BlockingPortal] = weakref.WeakSet()

    def begin_anew(self) -> None:
        """Have no portals of our own."""
        placeholder = PortalThread("gllm-default-portal")
        placeholder.give_up()  # so that the first one is a successor, too
        self._default = placeholder
        self.dispatcher: Dispatcher | None = None
        """That of the default portal, if there is one; it refuses calls when a new one is needed."""
        self.reserve = Reserve(self._start)

    def default(self) -> PortalThread:
        """The default portal, started if there is none that is live."""
        with chains.waiting(self):
            while True:
                server = self._default
                while not server.usable and server.successor:
                    # Kept at once: one interrupted look after another must not leave ever more of them to the next.
                    server = self._default = server.successor[None]
                if not server.usable:
                    server = self._replace_default(server)  # may have failed by now, which `wait_ready` tells
                if server.starter == threading.get_ident():
                    raise PortalNotRunningError("the default portal is being started by this very thread, further up its stack")
                try:
                    dispatcher = server.wait_ready()
                except PortalNotRunningError:
                    if server.was_given_up:
                        continue
                    raise
                if server.usable:
                    self.dispatcher = dispatcher
                    return server

    @property
    def ident(self) -> int | None:
        """The identifier of the thread that runs the default portal, or is about to."""
        server = self._default
        while server.successor:  # one who looks slowly may have set `_default` back
            server = server.successor[None]
        return server.ident

    def _replace_default(self, old: PortalThread) -> PortalThread:
        """The successor of *old*: all who find that one unusable get the same, and one of them starts it."""
        new = PortalThread("gllm-default-portal")
        try:
            server = old.successor.setdefault(None, new)
            self._default = server
            if server is new:
                self._start(server)
        except BaseException as error:
            new.give_up(error)
            raise
        return server

    def _start(self, server: PortalThread) -> None:
        """Start *server*, which nobody else can."""
        self.forget_ended()
        try:
            self._started.append(server)
            if self._closed:  # looked at last, as it is set before `_started` is looked at
                raise PortalNotRunningError("the default portal was shut down: the interpreter is exiting")
            server.start()
        except BaseException as error:
            server.give_up(error)
            raise

    def forget_ended(self) -> None:
        for server in list(self._started):
            if server.ended:
                with suppress(ValueError):  # another thread was quicker
                    self._started.remove(server)

    def see(self, portal: BlockingPortal) -> None:
        """Remember *portal*, so that a child forked from now on knows whose it is."""
        self._seen.add(portal)

    def serve(self, portal: BlockingPortal, name: str) -> Dispatcher:
        """The dispatcher of *portal*, made and started at its first call, which *name* makes."""
        for server in list(self._started):
            if server.portal is portal and server.dispatcher is not None:
                return server.dispatcher
        dispatcher = self._foreign.get(portal)
        if dispatcher is not None:
            return dispatcher
        if portal in self._of_parent or not portal_is_alive(portal):
            raise PortalNotRunningError(
                f"the portal of {name!r} is not running: it was stopped, its thread died, or "
                "it belongs to a parent process; use one that is, or the default portal"
            )
        # The parent's portal, or one of ours on a thread that got the identifier of one of the parent's?
        in_doubt = portal_thread_ident(portal) in self._threads_of_parent
        new = Dispatcher(portal, UNSEEN_PORTAL_S if in_doubt else inf)
        dispatcher = self._foreign.setdefault(portal, new)
        if dispatcher is not new:
            return dispatcher
        try:
            refuse_greenlets()
            _attach(portal, dispatcher)
        except BaseException as error:  # also Ctrl-C: the next call tries again
            self._foreign.pop(portal, None)
            dispatcher.bury()
            if isinstance(error, RuntimeError):
                raise PortalNotRunningError(f"the portal of {name!r} cannot be reached: {error}") from error
            raise
        return dispatcher

    def here(self, portal: BlockingPortal | None, name: str) -> tuple[BlockingPortal, Dispatcher]:
        """*portal*, or what stands in for it, as served on this very thread, for *name*."""
        ident = threading.get_ident()
        if portal is not None and (dispatcher := self.serve(portal, name)).ident == ident:
            return portal, dispatcher
        for server in list(self._started):
            if server.portal is not None and server.dispatcher is not None and server.dispatcher.ident == ident:
                return server.portal, server.dispatcher
        raise not_running(name)

    def shut_down(self) -> None:
        """At interpreter exit: after the program's own handlers, within SHUTDOWN_GRACE_S."""
        self._closed = True
        started, self._started = list(self._started), []
        if not started:
            return
        _silence_daemon_threads()
        deadline = time.monotonic() + SHUTDOWN_GRACE_S
        for server in started:
            server.begin_stop(deadline)
        for server in started:
            server.wait_idle(deadline - SHUTDOWN_GRACE_S / 2)
        for server in started:
            server.stop()
        left = [name for server in reversed(started) for name in server.end(deadline)]
        if left:
            extra = fields("left_at_exit", calls=tuple(left), grace_s=SHUTDOWN_GRACE_S)
            logger.error("still running at exit, after %s s of grace: %s", SHUTDOWN_GRACE_S, ", ".join(left), extra=extra)

    def before_fork(self) -> None:
        self._threads_of_parent = frozenset(thread.ident for thread in threading.enumerate())

    def after_fork_in_child(self) -> None:
        inherited, seen, last = self._started, (*self._seen, *self._foreign), self._default
        self._reset()
        # A signal handler may have forked while this thread was looking for the default portal: it looks on from one of these.
        last.give_up()
        while last.successor:
            last = last.successor[None]
            last.give_up()
        last.successor[None] = self._default
        for portal in seen:
            self._of_parent.add(portal)
        for server in inherited:
            server.inherit()
            if server.portal is not None:
                self._of_parent.add(server.portal)


def _attach(portal: BlockingPortal, dispatcher: Dispatcher) -> None:
    """Have *dispatcher* served on *portal*.

    Raises:
        RuntimeError: the loop is closed, or no thread can be started.
    """
    if ask_portal_to_start(portal, partial(dispatcher.serve, portal), dispatcher.bury):
        return

    def start() -> None:
        try:
            portal.start_task_soon(dispatcher.serve, portal)
        except BaseException:  # noqa: BLE001 # whatever it is, nobody serves the portal: the calls that wait for it must end
            dispatcher.bury()

    # On a thread that AnyIO may block for ever: it can, as portals close.
    chains.start(OwnThread(target=start, name="gllm-portal-attach", daemon=True))


def _silence_daemon_threads() -> None:
    """A daemonic thread whose call was ended by the exit ends in silence; other exceptions are reported as ever."""
    from concurrent.futures import CancelledError

    report = threading.excepthook

    def hook(args: Any) -> None:
        if not (isinstance(args.exc_value, (PortalNotRunningError, CancelledError)) and args.thread and args.thread.daemon):
            report(args)

    threading.excepthook = hook
    logger.addFilter(_says_more_than_that_the_portal_is_gone)


def _says_more_than_that_the_portal_is_gone(record: logging.LogRecord) -> bool:
    """At exit, a function whose awaiter was cancelled may call once more. That is no news, as in a daemonic thread."""
    return record.exc_info is None or not isinstance(record.exc_info[1], PortalNotRunningError)


portals = Portals()
# Registered at import, so that it runs after the handlers that the program registers later.
atexit.register(portals.shut_down)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=portals.before_fork, after_in_child=portals.after_fork_in_child)


def get_default_portal() -> BlockingPortal:
    """Return the process-wide portal, starting it if none is live.

    Returns:
        An AnyIO `BlockingPortal` whose asyncio loop runs on a daemonic thread of its own. It is live when this returns. One
        that was stopped, crashed or was inherited through `fork` is replaced.

    Raises:
        PortalNotRunningError: the interpreter is exiting, or no thread can be started.

    **Threads:** may be called from any thread; a race of first users starts one portal.

    Example:
        >>> import anyio
        >>> get_default_portal().call(anyio.sleep, 0)
        >>> get_default_portal() is get_default_portal()
        True
    """
    portal = portals.default().portal
    assert portal is not None
    return portal

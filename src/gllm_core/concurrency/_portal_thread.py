"""One portal of ours: birth, health, end."""

from __future__ import annotations

import sys
import threading
import time
from contextvars import Context, copy_context
from inspect import CO_COROUTINE
from types import TracebackType

from anyio.from_thread import BlockingPortal

from ._anyio_internals import asyncio, import_asyncio_backend
from ._call import Call
from ._dispatch import Dispatcher
from ._errors import PortalNotRunningError
from ._latch import Latch
from ._log import fields, logger
from ._threads import OwnThread, refuse_greenlets

HEALTH_CHECK_S = 1.0


class PortalThread:
    """One portal of ours, on a daemonic thread of its own.

    Whoever claims it first decides what it becomes: its thread, that it runs; its starter or the exit, that it never will.
    """

    def __init__(self, name: str) -> None:
        self._thread = OwnThread(target=self._run, name=name, daemon=True)
        self._unclaimed = [None]
        self._ready = Latch()
        self._error: BaseException | None = None
        self._inherited = False
        self.starter: int | None = threading.get_ident()
        self.successor: dict[None, PortalThread] = {}
        self.portal: BlockingPortal | None = None
        self.dispatcher: Dispatcher | None = None

    def start(self) -> None:
        try:
            if not self._unclaimed:
                return  # given up: a signal handler forked just before, and in the child such a thread may not start
            refuse_greenlets()
            self._thread.start()
        except RuntimeError as error:
            self.give_up(error)
            raise PortalNotRunningError(f"the portal's thread could not be started: {error}") from error
        finally:
            self.starter = None

    def give_up(self, error: BaseException | None = None) -> bool:
        """If its thread has not begun, it never will: those who wait for it hear of it. Returns whether that is so."""
        if not self._claim():
            return False
        self._error = error
        self.starter = None
        self._ready.set()
        return True

    def _claim(self) -> bool:
        try:
            self._unclaimed.pop()
        except IndexError:
            return False
        return True

    @property
    def ident(self) -> int | None:
        """The identifier of its thread, as far as it is known."""
        return self._thread.ident

    @property
    def fresh(self) -> bool:
        """Whether nobody has tried to start it."""
        return self.starter is not None

    @property
    def ended(self) -> bool:
        """Whether nothing of it is left to be stopped."""
        return self._ready.is_set() and not self._thread.is_alive()

    @property
    def usable(self) -> bool:
        """Whether it takes calls, or is about to."""
        if not self._ready.is_set():
            return True
        return self._error is None and self.dispatcher is not None and self.dispatcher.accepts

    @property
    def was_given_up(self) -> bool:
        """Whether what kept it from being started says nothing of the next one: Ctrl-C in its starter, or a fork."""
        gone = self._ready.is_set() and self.dispatcher is None
        return gone and (self._inherited or not isinstance(self._error, Exception))

    def wait_ready(self) -> Dispatcher:
        """The dispatcher, once it takes calls.

        Raises:
            PortalNotRunningError: it will never; or it waits for this very thread to go on.
        """
        if not self._ready.is_set() and self._thread.ident == threading.get_ident():  # a finalizer, say, as it begins
            raise PortalNotRunningError("the portal is being started by this very thread, further up its stack")
        while not self._ready.wait(HEALTH_CHECK_S):
            died = PortalNotRunningError("the portal's thread died before the portal was ready")
            if sys.is_finalizing():
                raise died
            if self._thread.ident is not None and not self._thread.is_alive():
                self.give_up(died)  # it never began; or it has just ended, and said why
        if self.dispatcher is None:
            raise PortalNotRunningError(f"the portal could not be started: {self._error}") from self._error
        return self.dispatcher

    def inherit(self) -> None:
        """In a forked child: whoever waits here (a fork in a signal handler) must not wait for a thread of the parent."""
        self._inherited = True
        self._error = PortalNotRunningError("the portal belongs to the parent process")
        self._unclaimed = []
        self._ready = Latch()
        self._ready.set()

    def begin_stop(self, deadline: float) -> None:
        """Cancel what runs: once, as asyncio cancels, so that `finally` blocks may await. *deadline*: monotonic, in seconds."""
        if not self.give_up():
            self._ready.wait(max(0.0, deadline - time.monotonic()))
            if self.dispatcher is not None:
                self.dispatcher.cancel_all()

    def wait_idle(self, deadline: float) -> None:
        while self.dispatcher is not None and self.dispatcher.names_in_flight() and time.monotonic() < deadline:
            self._thread.join(0.001)

    def stop(self) -> None:
        """Stop the portal, and cancel what resists as AnyIO does: whatever it awaits."""
        if self.dispatcher is not None and self.portal is not None:
            # Refused by a portal that is stopping already.
            self.dispatcher.hand_over(Call(self.portal.stop, (True,), {}, copy_context(), "BlockingPortal.stop", internal=True))

    def end(self, deadline: float) -> list[str]:
        """Wait for its end, and say what is left; whoever waits for that hears that it is given up."""
        if self.dispatcher is None:
            return []
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if not self._thread.is_alive():
            return []
        left = self.dispatcher.names_in_flight() or [self._thread.name]
        self.dispatcher.bury()
        return left

    def _run(self) -> None:
        if not self._claim():
            return
        self.starter = None  # an interrupt may keep the starter from it
        try:
            import_asyncio_backend()  # here, where no Ctrl-C can break it off: half-made classes turn it into another error
            Context().run(self._run_loop)
        except BaseException as error:  # noqa: BLE001 # the thread ends here; calls in flight got their own outcome
            if self._ready.is_set():
                extra = fields("portal_crashed", portal=self._thread.name)
                logger.error("the portal of thread %r crashed", self._thread.name, exc_info=error, extra=extra)
            self._error = error
        finally:
            self._ready.set()

    def _run_loop(self) -> None:
        with asyncio.Runner() as runner:
            loop = runner.get_loop()
            main = loop.create_task(self._main(), name=self._thread.name)
            while True:
                try:
                    return loop.run_until_complete(main)
                except (SystemExit, KeyboardInterrupt) as error:
                    # asyncio lets these out of the loop, whoever raised them. A task's own waiters have them, too.
                    if main.done():
                        raise
                    if not _of_task(error.__traceback__):
                        name = self._thread.name
                        extra = fields("callback_error", portal=name)
                        logger.error("a callback on %r raised %r; the loop goes on", name, error, exc_info=error, extra=extra)

    async def _main(self) -> None:
        async with BlockingPortal() as portal:
            self.portal = portal
            self.dispatcher = Dispatcher(portal)
            await self.dispatcher.serve(portal, on_open=self._ready.set)


def _of_task(traceback: TracebackType | None) -> bool:
    """Whether it was a coroutine that raised."""
    while traceback is not None:
        if traceback.tb_frame.f_code.co_flags & CO_COROUTINE:
            return True
        traceback = traceback.tb_next
    return False

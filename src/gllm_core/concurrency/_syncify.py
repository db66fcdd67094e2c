"""syncify: which portal a call runs on, and what the caller's thread must know while it waits."""

from __future__ import annotations

import functools
import inspect
import os
import sys
import threading
import warnings
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError as BridgeCancelledError
from contextvars import copy_context
from typing import Any, ParamSpec, Protocol, TypeVar, overload

from anyio.from_thread import BlockingPortal

from ._anyio_internals import asyncio, cancellation_watch, forget_async_library, loop_runs_here, may_be_cancelled
from ._call import Call, not_running
from ._callables import dress, is_bare_method, name_of, reject_not_async, reject_syncified
from ._chain import Block, Wait, chains, idents_of, stand_in
from ._dispatch import Dispatcher, call_driven_here
from ._errors import BlockedLoopWarning, PortalNotRunningError, ReentrantCallWarning
from ._inflight import Job, Loan, current, innermost_open_loan, loans
from ._portal import portals
from ._reserve import Lease

P = ParamSpec("P")
R = TypeVar("R")

_HERE = os.path.dirname(__file__) + os.sep


class _SyncifyDecorator(Protocol):
    def __call__(self, async_func: Callable[P, Awaitable[R]], /) -> Callable[P, R]: ...


@overload
def syncify(async_func: Callable[P, Awaitable[R]]) -> Callable[P, R]: ...
@overload
def syncify(async_func: Callable[P, Awaitable[R]], *, portal: BlockingPortal | None) -> Callable[P, R]: ...
@overload
def syncify(async_func: None = None, *, portal: BlockingPortal | None = None) -> _SyncifyDecorator: ...
def syncify(async_func: Any = None, *, portal: Any = None) -> Any:
    """Make an async callable callable from synchronous code.

    Each call runs the coroutine on a portal's event loop, in a task of its own with a copy of the caller's context
    variables, and blocks the calling thread until it is done.

    Args:
        async_func: a coroutine function, or any callable that returns an awaitable. Left out, a decorator is returned.
        portal: the AnyIO portal to run on; None stands for the default portal, see `get_default_portal`.

    Returns:
        A function with the parameters of *async_func*, its name, doc and signature. It returns what the awaitable
        returns and raises what it raises, as the same object.

    Raises:
        TypeError: when wrapping, for what cannot work (an async generator function: use `syncify_iterator`; what is
            syncified already); when calling, for a result that is not awaitable.
        PortalNotRunningError: when calling, if the portal is not running, stops running, or belongs to a parent process.
        concurrent.futures.CancelledError: when calling, if the coroutine was cancelled.

    **Cancellation:** Ctrl-C in the waiting thread cancels the coroutine, waits until its `finally` blocks are done and
    raises `KeyboardInterrupt`; a second one stops waiting. Where a task of asyncio blocks its own loop in the call and is
    cancelled meanwhile, which is what `asyncio.run` makes of Ctrl-C, the coroutine is cancelled and the call raises
    `asyncio.CancelledError`. Below an asyncified function whose awaiter is cancelled, the coroutine is cancelled too.

    **Threads:** may be called from any thread. On the thread of the very loop that it targets, it runs on a reserve
    portal and warns with `ReentrantCallWarning`; on the thread of another running loop, it blocks that loop and warns with
    `BlockedLoopWarning`.

    Example:
        >>> import anyio
        >>> async def double(x: int) -> int:
        ...     await anyio.sleep(0)
        ...     return 2 * x
        >>> syncify(double)(21)
        42
    """
    if portal is not None and not isinstance(portal, BlockingPortal):
        raise TypeError(
            f"syncify() got portal={portal!r}; pass an anyio.from_thread.BlockingPortal, or None for the default one"
        )
    if async_func is None:
        return functools.partial(syncify, portal=portal)
    if is_bare_method(async_func):
        return type(async_func)(syncify(async_func.__func__, portal=portal))
    reject_not_async(async_func)
    name = name_of(async_func)
    if portal is not None:
        portals.see(portal)
    func: Callable[..., Awaitable[Any]] = async_func

    served: Dispatcher | None = None
    # Held here, as a call may come when the interpreter has emptied our modules.
    is_finalizing, refused = sys.is_finalizing, PortalNotRunningError

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        nonlocal served
        if is_finalizing():
            raise refused(f"the portal of {name!r} is not running: the interpreter is exiting")
        if portal is None:
            dispatcher = portals.dispatcher or portals.default().wait_ready()
        else:
            dispatcher = served = served or portals.serve(portal, name)
        job = current.job
        if job is not None or chains.get() or loop_runs_here() or (chains.waits and chains.waited_for_here()):
            return _call_from_afar(dispatcher, job, portal, func, args, kwargs, name)
        context = copy_context()
        forget_async_library(context)
        call = Call(func, args, kwargs, context, name)
        del args, kwargs
        _run(call, dispatcher, replaceable=portal is None)
        return call.take()

    reject_syncified(func, wrapper.__code__)
    return dress(wrapper, func)


def _run(call: Call, dispatcher: Dispatcher, *, replaceable: bool) -> None:
    """Run *call* on *dispatcher*; or, if that is *replaceable* as the default portal is, on its successor."""
    while not dispatcher.run(call):
        if not replaceable:
            raise not_running(call.name)
        dispatcher = portals.default().wait_ready()


def _call_from_afar(
    dispatcher: Dispatcher,
    job: Job | None,
    portal: BlockingPortal | None,
    func: Callable[..., Awaitable[Any]],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    name: str,
) -> Any:
    """A call from within: below an asyncified function, below a blocked loop, or on the thread of a running loop."""
    replaceable = portal is None
    if not dispatcher.accepts and not dispatcher.fresh:  # a dead thread's identifier could be taken for that of this one
        if not replaceable:
            raise not_running(name)
        dispatcher = portals.default().wait_ready()
    on_loop = loop_runs_here()
    block = Block(threading.get_ident()) if on_loop or (job is None and chains.waited_for_here()) else None
    way = _Way(dispatcher, block)
    try:
        if way.chain:
            way.find(name)
            dispatcher, replaceable = way.dispatcher, replaceable and not way.reentrant
        if on_loop and not way.reentrant:
            _warn(BlockedLoopWarning, f"{name!r} blocks the event loop that runs on this thread. Await it directly instead")
        context = copy_context()
        forget_async_library(context)
        if way.chain:
            context.run(chains.set, way.chain)
        loan: Loan | None = None
        if job is not None and job.lendable is not None:
            loan = Loan(job.lendable, innermost_open_loan())
            context.run(loans.set, loan)
        call = Call(func, args, kwargs, context, name)
        del args, kwargs, context
        if on_loop:
            call.given_up = _cancellation_watch()
        try:
            if job is not None:
                job.attach(call)
            _run(call, dispatcher, replaceable=replaceable)
        finally:
            if job is not None:
                job.detach(call)
            if loan is not None:
                loan.close()
        try:
            return call.take()
        except BridgeCancelledError as cancelled:
            if call.caller_cancelled:  # as if the task had awaited the coroutine; `asyncio.run` makes Ctrl-C of it
                _tell_above()
                raise asyncio.CancelledError(*cancelled.args) from cancelled
            raise
    finally:
        try:
            way.leave()
        finally:
            way.leave()  # once more, as Ctrl-C may have broken it off


def _cancellation_watch() -> Callable[[], bool] | None:
    """Whether the task whose loop is blocked is cancelled meanwhile; or its call above, which the loop cannot tell it."""
    cancelled = cancellation_watch()
    if cancelled is None:
        return None

    def look() -> bool:
        above = call_driven_here()
        waits = above is not None and above.cancel_requested and not above.cancel_delivered
        return cancelled() or (waits and may_be_cancelled(asyncio.current_task()))

    return look


def _tell_above() -> None:
    """What is raised now is the cancellation that the call above waits for: its loop does not bring it once more."""
    above = call_driven_here()
    if above is not None and above.cancel_requested:
        above.cancel_delivered = True


class _Way(Wait):
    """To the loop that a call below blocked loops targets; or, where that is one of them, to what stands in for it."""

    __slots__ = ("_block", "_leased", "dispatcher", "reentrant")

    def __init__(self, dispatcher: Dispatcher, block: Block | None) -> None:
        active = tuple(outer for outer in chains.get() if outer.active)
        super().__init__(dispatcher, active if block is None else (block, *active))
        self._block = block
        self._leased: Lease | None = None
        self.dispatcher = dispatcher
        self.reentrant = False

    def find(self, name: str) -> None:
        """Say for what is waited, and only then look at who waits for whom: with each step on the way anew."""
        chains.waits[self] = None
        while self.target.ident in (blocked := self._blocked()):
            if not self.reentrant:
                self.reentrant = True
                _warn(
                    ReentrantCallWarning,
                    f"{name!r} was called on the thread of the loop that it targets, or below such a call; "
                    "it runs on a reserve portal. Await it directly instead",
                )
            self._give_back()
            dispatcher = stand_in(self.chain, blocked)
            if dispatcher is not None:
                self.target = self.dispatcher = dispatcher
            else:
                self.target = self._leased = portals.reserve.lease(avoid=blocked)
        if self._leased is not None:
            self.dispatcher = portals.reserve.open(self._leased)
        if self._block is not None and self.reentrant:
            self._block.stand_in = self.dispatcher

    def _blocked(self) -> set[int | None]:
        own = () if self._block is None else (self._block,)
        self.chain = (*own, *(block for block in chains.blocked() if block is not self._block))
        return idents_of(self.chain)

    def leave(self) -> None:
        if self._block is not None:
            self._block.active = False
        chains.waits.pop(self, None)
        self._give_back()

    def _give_back(self) -> None:
        leased, self._leased = self._leased, None
        if leased is not None:
            portals.reserve.give_back(leased)


def _warn(category: type[Warning], message: str) -> None:
    """Warn at the line that made the call: the first frame outside this package."""
    level = 1
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
        level += 1
    warnings.warn(message, category, stacklevel=level)

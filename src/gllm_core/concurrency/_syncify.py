"""syncify: which portal a call runs on, and what the caller's thread must know while it waits."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Awaitable, Callable
from contextvars import ContextVar, copy_context
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar, overload

from anyio.from_thread import BlockingPortal

from ._anyio_internals import forget_async_library, loop_runs_here
from ._callables import dress, name_of, reject_not_async
from ._dispatch import Call, Dispatcher
from ._errors import BlockedLoopWarning, ReentrantCallWarning
from ._inflight import Job, Loan, current, loans
from ._portal import portals

P = ParamSpec("P")
R = TypeVar("R")

_HERE = str(Path(__file__).parent)


class _SyncifyDecorator(Protocol):
    def __call__(self, async_func: Callable[P, Awaitable[R]], /) -> Callable[P, R]: ...


class _Block:
    """A loop's thread that waits in a syncified call, and the portal that stands in for its loop meanwhile."""

    __slots__ = ("active", "ident", "outer", "stand_in")

    def __init__(self, ident: int, outer: _Block | None) -> None:
        self.ident = ident
        self.outer = outer
        self.stand_in: Dispatcher | None = None
        self.active = True


_blocks: ContextVar[_Block | None] = ContextVar("gllm_core.concurrency.blocks", default=None)
"""The innermost of the loops that the chain of calls leading here is blocking."""


@overload
def syncify(async_func: Callable[P, Awaitable[R]]) -> Callable[P, R]: ...
@overload
def syncify(async_func: Callable[P, Awaitable[R]], *, portal: BlockingPortal | None) -> Callable[P, R]: ...
@overload
def syncify(async_func: None = None, *, portal: BlockingPortal | None = None) -> _SyncifyDecorator: ...
def syncify(async_func: Callable[..., Awaitable[Any]] | None = None, *, portal: BlockingPortal | None = None) -> Any:
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
        TypeError: when wrapping, for what cannot work (an async generator function: use `syncify_iterator`); when calling,
            for a result that is not awaitable.
        PortalNotRunningError: when calling, if the portal is not running, stops running, or belongs to a parent process.
        concurrent.futures.CancelledError: when calling, if the coroutine was cancelled.

    **Cancellation:** Ctrl-C in the waiting thread cancels the coroutine, waits until its `finally` blocks are done and
    raises `KeyboardInterrupt`; a second one stops waiting. Below an asyncified function whose awaiter is cancelled, the
    coroutine is cancelled too.

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
        return lambda func: syncify(func, portal=portal)
    if isinstance(async_func, (staticmethod, classmethod)):
        return type(async_func)(syncify(async_func.__func__, portal=portal))
    reject_not_async(async_func)
    name = name_of(async_func)
    func: Callable[..., Awaitable[Any]] = async_func

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        dispatcher = _default_dispatcher() if portal is None else portals.of(portal)
        job = current.job
        if job is not None or _blocks.get() is not None or loop_runs_here():
            return _call_from_afar(dispatcher, job, portal, func, args, kwargs, name)
        if portal is not None and dispatcher.fresh:
            portals.attach(portal, dispatcher)
        context = copy_context()
        forget_async_library(context)
        call = Call(func, args, kwargs, context, name, dispatcher)
        del args, kwargs
        dispatcher.run(call)
        return call.take()

    return dress(wrapper, func)


def _default_dispatcher() -> Dispatcher:
    dispatcher = portals.default().dispatcher
    assert dispatcher is not None
    return dispatcher


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
    here = threading.get_ident()
    block: _Block | None = None
    chain = _blocks.get()
    on_loop = loop_runs_here()
    blocked = _blocked_idents(chain)
    leased = None
    if on_loop:
        block = _Block(here, chain)
        blocked.add(here)
    if dispatcher.ident in blocked:
        _warn(
            ReentrantCallWarning,
            f"{name!r} was called on the thread of the loop that it targets, or below such a call; "
            "it runs on a reserve portal. Await it directly instead",
        )
        stand_in = _stand_in(chain, blocked)
        if stand_in is None:
            leased = portals.lease()
            stand_in = leased.wait_ready()
        dispatcher = stand_in
    elif on_loop:
        _warn(BlockedLoopWarning, f"{name!r} blocks the event loop that runs on this thread. Await it directly instead")
    try:
        if portal is not None and leased is None and dispatcher.fresh:
            portals.attach(portal, dispatcher)
        context = copy_context()
        forget_async_library(context)
        if block is not None:
            block.stand_in = dispatcher
            context.run(_blocks.set, block)
        loan: Loan | None = None
        if job is not None and job.lendable is not None:
            loan = Loan(job.lendable, loans.get())
            context.run(loans.set, loan)
        call = Call(func, args, kwargs, context, name, dispatcher)
        del args, kwargs, context
        try:
            if job is not None:
                job.attach(call)
            dispatcher.run(call)
        finally:
            if job is not None:
                job.detach(call)
            if loan is not None:
                loan.close()
        return call.take()
    finally:
        if block is not None:
            block.active = False
        if leased is not None:
            portals.give_back(leased)


def _blocked_idents(chain: _Block | None) -> set[int]:
    blocked: set[int] = set()
    while chain is not None:
        if chain.active:
            blocked.add(chain.ident)
        chain = chain.outer
    return blocked


def _stand_in(chain: _Block | None, blocked: set[int]) -> Dispatcher | None:
    """The portal that stands in for a blocked loop of this chain already, if it is not blocked itself."""
    while chain is not None:
        stand_in = chain.stand_in
        if chain.active and stand_in is not None and stand_in.accepts and stand_in.ident not in blocked:
            return stand_in
        chain = chain.outer
    return None


def _warn(category: type[Warning], message: str) -> None:
    """Warn at the line that made the call: the first frame outside this package."""
    level = 2
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
        level += 1
    warnings.warn(message, category, stacklevel=level - 1)

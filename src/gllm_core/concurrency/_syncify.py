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
from contextvars import Context, ContextVar, copy_context
from typing import Any, ParamSpec, Protocol, TypeVar, overload

from anyio.from_thread import BlockingPortal

from ._anyio_internals import asyncio, cancellation_watch, forget_async_library, loop_runs_here
from ._call import Call, not_running
from ._callables import dress, is_bare_method, name_of, reject_not_async, reject_syncified
from ._dispatch import Dispatcher
from ._errors import BlockedLoopWarning, PortalNotRunningError, ReentrantCallWarning
from ._inflight import Job, Loan, current, innermost_open_loan, loans
from ._portal import portals

P = ParamSpec("P")
R = TypeVar("R")

_HERE = os.path.dirname(__file__) + os.sep


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


class _Blocks:
    """A context variable that is pickled by name, where a wrapper is pickled by value."""

    __slots__ = ("get", "set", "variable")

    def __init__(self) -> None:
        self.variable: ContextVar[_Block | None] = ContextVar("gllm_core.concurrency.blocks", default=None)
        self.get, self.set = self.variable.get, self.variable.set

    def __reduce__(self) -> str:
        return "_blocks"


_blocks = _Blocks()
"""The innermost of the loops that the chain of calls leading here is blocking."""


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
        if job is not None or _blocks.get() is not None or loop_runs_here():
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
    here = threading.get_ident()
    replaceable = portal is None
    if not dispatcher.accepts and not dispatcher.fresh:  # a dead thread's identifier could be taken for that of this one
        if not replaceable:
            raise not_running(name)
        dispatcher = portals.default().wait_ready()
    block: _Block | None = None
    chain = _blocks.get()
    on_loop = loop_runs_here()
    blocked = _blocked_idents(chain)
    leased = None
    if on_loop:
        block = _Block(here, _active(chain))
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
        dispatcher, replaceable = stand_in, False
        if block is not None:
            block.stand_in = dispatcher
    elif on_loop:
        _warn(BlockedLoopWarning, f"{name!r} blocks the event loop that runs on this thread. Await it directly instead")
    try:
        context = copy_context()
        forget_async_library(context)
        if block is not None:
            context.run(_blocks.set, block)
        loan: Loan | None = None
        if job is not None and job.lendable is not None:
            loan = Loan(job.lendable, innermost_open_loan())
            context.run(loans.set, loan)
        call = Call(func, args, kwargs, context, name)
        del args, kwargs, context
        if on_loop:
            call.given_up = cancellation_watch()
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
                raise asyncio.CancelledError(*cancelled.args) from cancelled
            raise
    finally:
        if block is not None:
            block.active = False
        if leased is not None:
            portals.give_back(leased)


def _active(chain: _Block | None) -> _Block | None:
    """The innermost block that is not over: what runs on after its caller is not below it any more."""
    while chain is not None and not chain.active:
        chain = chain.outer
    return chain


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


def is_below_blocked_loops() -> bool:
    return _blocks.get() is not None


def adopt(chain: Context) -> None:
    """Go on for the calls that *chain* is a context of: the loops that they block, the tokens that they lend."""
    _blocks.set(chain.get(_blocks.variable))
    loans.set(chain.get(loans))


def _warn(category: type[Warning], message: str) -> None:
    """Warn at the line that made the call: the first frame outside this package."""
    level = 1
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
        level += 1
    warnings.warn(message, category, stacklevel=level)

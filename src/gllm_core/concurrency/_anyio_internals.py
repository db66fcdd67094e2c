"""All that we touch of AnyIO, asyncio, sniffio and sys beyond their public APIs, feature-detected, in one place.

Nothing here is needed for a call to be correct on a future AnyIO that moves these names: `HAS_WORKER_THREADLOCALS`
turns false and asyncify goes through `anyio.to_thread.run_sync`; an unknown portal thread means that a dead portal is
noticed later (by its stop event or its closed loop).
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError as BridgeCancelledError
from contextvars import Context
from importlib import import_module
from typing import TYPE_CHECKING, Any

from anyio import CapacityLimiter, WouldBlock
from anyio.from_thread import BlockingPortal

if TYPE_CHECKING:
    import asyncio as asyncio
    from asyncio import AbstractEventLoop
else:

    class _AsyncioWhenUsed:
        """asyncio, as a namespace. Its import takes longer than that of all else here, and who runs a loop has it already.

        So no name is looked up in here before a loop of asyncio was seen, or `import_asyncio_backend` was called.
        """

        def __getattr__(self, name: str) -> Any:
            module = import_module("asyncio")
            # All of it: the next name costs what a module's does, also at exit, when nothing can be imported any more.
            names = dict(vars(module))  # in one step, whatever other threads import
            vars(self).update({public: names[public] for public in names if not public.startswith("_")})
            return getattr(module, name)

        def __reduce__(self) -> str:  # by name, where a wrapper is pickled by value
            return "asyncio"

    asyncio = _AsyncioWhenUsed()

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


def _portal_loop(portal: BlockingPortal) -> object:
    return getattr(getattr(portal, "_token", None), "native_token", None) or getattr(portal, "_loop", None)


def portal_loop_is_closed(portal: BlockingPortal) -> bool:
    """Whether the asyncio loop of *portal* was closed over it."""
    is_closed: Callable[[], bool] = getattr(_portal_loop(portal), "is_closed", bool)  # trio's does not say
    return is_closed()


def portal_loop_is_running(portal: BlockingPortal) -> bool:
    """Whether some thread runs the asyncio loop of *portal* right now."""
    is_running: Callable[[], bool] = getattr(_portal_loop(portal), "is_running", bool)  # trio's does not say
    return is_running()


def ask_portal_to_start(
    portal: BlockingPortal, func: Callable[[], Coroutine[Any, Any, None]], fail: Callable[[], object]
) -> bool:
    """Have *portal* run *func* in a task of its own, and do not wait for that: a portal that is closing may never answer.

    *fail* is called on its loop's thread if it cannot any more. Returns False, having done nothing, where the loop is not
    asyncio's or this AnyIO does not show it.

    Raises:
        RuntimeError: the loop is closed, or cannot be woken.
    """
    wake = getattr(_portal_loop(portal), "call_soon_threadsafe", None)
    group = getattr(portal, "_task_group", None)
    if wake is None or group is None:
        return False

    async def start() -> None:
        if portal_thread_ident(portal) is None:
            fail()
            return
        try:
            group.start_soon(func)
        except BaseException:  # noqa: BLE001 # whatever it is, nobody else would tell those who wait
            fail()

    def start_task() -> None:  # in which AnyIO knows on what loop it is
        start_ownerless_task(start, "gllm-portal-attach")

    wake(start_task, context=Context())  # of nobody in particular, as the task serves all
    return True


class _Latecomers(set[object]):
    """The tasks of a cancelled scope that nobody entered. One that comes later is told, too: AnyIO would do so only as long as
    the scope has a task of its own, and what looks for a cancellation there waits until it comes.
    """

    __slots__ = ("_scope",)

    def __init__(self, scope: Any) -> None:
        super().__init__(scope._tasks)
        self._scope: weakref.ref[Any] = weakref.ref(scope)

    def add(self, task: object, /) -> None:
        super().add(task)
        scope = self._scope()
        if scope is not None and scope._cancel_handle is None:  # else it is about to look at them
            scope._deliver_cancellation(scope)


def cancel_scope_of_worker(scope: Any) -> None:
    """Cancel *scope*, which nobody entered, and the tasks that `anyio.from_thread.run` starts below it, now or later."""
    scope.cancel()
    if hasattr(scope, "_tasks") and hasattr(scope, "_cancel_handle"):
        scope._tasks = _Latecomers(scope)
    if hasattr(scope, "_deliver_cancellation"):  # AnyIO leaves it to the scope's own task
        scope._deliver_cancellation(scope)


def may_be_cancelled(task: object) -> bool:
    """Whether no AnyIO scope shields what the asyncio *task* is in. True for an AnyIO that does not let us look:
    better to cancel in a shield than never.
    """
    try:
        scope = sys.modules["anyio._backends._asyncio"]._task_states[task].cancel_scope
        while scope is not None:
            if scope.shield:
                return False
            scope = scope._parent_scope
    except (KeyError, AttributeError):  # a task that never entered a scope; or there is no such table
        return True
    return True


_get_running_loop: Callable[[], AbstractEventLoop | None] | None = None


def _running_asyncio_loop() -> AbstractEventLoop | None:
    """The asyncio loop that is running on this thread. Where asyncio was never imported, none is."""
    global _get_running_loop
    if _get_running_loop is None:
        # Of the package, which has it last: while it is being imported, `asyncio.events` has another one.
        _get_running_loop = getattr(sys.modules.get("asyncio"), "_get_running_loop", None)
        if _get_running_loop is None:
            return None
    return _get_running_loop()


def running_asyncio_loop() -> AbstractEventLoop | None:
    """The asyncio loop that is running on this thread, unless it is the host of a trio run (guest mode)."""
    loop = _running_asyncio_loop()
    return loop if loop is None or not _other_library_here() else None


def cancellation_watch() -> Callable[[], bool] | None:
    """A function that says, on this thread, whether the current asyncio task was cancelled since; None without such a task."""
    loop = _running_asyncio_loop()
    task = None if loop is None else asyncio.current_task(loop)
    if task is None:
        return None
    before = task.cancelling()
    return lambda: task.cancelling() > before


def loop_runs_here() -> bool:
    """Whether an event loop of any kind is running on this thread."""
    return _running_asyncio_loop() is not None or _other_library_here()


def _other_library_here() -> bool:
    # trio announces itself through sniffio; where sniffio was never imported, trio was not either.
    sniffio = sys.modules.get("sniffio")
    return sniffio is not None and sniffio.thread_local.name is not None


def forget_async_library(context: Context) -> None:
    """In *context*, unset sniffio's notion of the running library: it is the caller's, not that of where *context* goes."""
    sniffio = sys.modules.get("sniffio")
    if sniffio is not None and context.get(sniffio.current_async_library_cvar) is not None:
        context.run(sniffio.current_async_library_cvar.set, None)


_ownerless: set[asyncio.Task[None]] = set()


def start_ownerless_task(func: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
    """Run *func* beside all tasks and below none of their scopes; AnyIO has no such tasks. It must not raise."""
    loop = running_asyncio_loop()
    if loop is None:
        sys.modules["trio"].lowlevel.spawn_system_task(func, name=name)
    else:
        task = loop.create_task(func(), name=name)
        _ownerless.add(task)  # the loop itself refers to it weakly
        task.add_done_callback(_ownerless.discard)


def would_block(error: Exception) -> bool:
    """Whether *error* says that a limiter has no free token: AnyIO before 4.15 lets trio's own error through."""
    trio = sys.modules.get("trio")
    return isinstance(error, WouldBlock) or (trio is not None and isinstance(error, trio.WouldBlock))


def is_of_other_backend(limiter: CapacityLimiter) -> bool:
    """Whether only tasks of another kind of loop than the one that runs here can wait in *limiter*: it was first used there."""
    other = "_trio" if running_asyncio_loop() is not None else "_asyncio"
    kind = getattr(sys.modules.get(f"anyio._backends.{other}"), "CapacityLimiter", ())
    return issubclass(type(getattr(limiter, "_internal_limiter", None) or limiter), kind)


def is_cancellation(error: BaseException | None) -> bool:
    """Whether *error* is how a cancellation shows itself: on asyncio, on trio, or in a syncified call."""
    return issubclass(type(error), BridgeCancelledError) or is_native_cancellation(error)


def is_native_cancellation(error: BaseException | None) -> bool:
    """Whether *error* is what a loop cancels with. Unlike AnyIO, it can be asked where no loop runs any more.

    The error itself is not asked, as `isinstance` would: it may raise.
    """
    kind, trio, of_asyncio = type(error), sys.modules.get("trio"), sys.modules.get("asyncio")
    return issubclass(kind, getattr(of_asyncio, "CancelledError", ())) or (
        trio is not None and issubclass(kind, trio.Cancelled)
    )


def is_scope_cancellation(error: BaseException) -> bool:
    """Whether an AnyIO scope cancelled, which will do so again at the next checkpoint; not `Task.cancel`, which will not."""
    message = error.args[0] if error.args else None  # of any type, where `Task.cancel` was given it
    return isinstance(message, str) and message.startswith("Cancelled via cancel scope ")  # AnyIO looks for the same


_importing = threading.RLock()


def import_asyncio_backend() -> None:
    """Import AnyIO's asyncio backend now, which AnyIO does lazily. A fork waits: its child would hang."""
    with _importing:
        import_module("anyio._backends._asyncio")
        _make_policy()


def _make_policy() -> None:
    """Have asyncio make its policy now. It does so under a lock when the first loop is made, and a child forked meanwhile
    would wait for that lock for ever.
    """
    make: Callable[[], object] | None = getattr(asyncio.events, "_get_event_loop_policy", None)
    if make is None:  # where both exist, this one is deprecated
        make = asyncio.get_event_loop_policy  # pyright: ignore[reportDeprecated] # not on Pythons that have this name alone
    make()


def _before_fork() -> None:
    _importing.acquire()
    if hasattr(sys.modules.get("asyncio"), "get_running_loop"):  # it is there, and whole; somebody may be making the policy now
        _make_policy()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_importing.release, after_in_child=_importing.release)

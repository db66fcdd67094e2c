"""How a dispatcher runs its calls as tasks: natively on asyncio, in an AnyIO task group elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
from anyio.lowlevel import current_token

from ._anyio_internals import asyncio, may_be_cancelled
from ._entrance import Entrance, entrance_of

if TYPE_CHECKING:
    from ._call import Call

T = TypeVar("T")
Drive = Callable[["Call"], Coroutine[Any, Any, None]]
Act = Callable[["Call"], None]

SHIELD_POLL_S = 0.005
"""How often a coroutine that is to be cancelled is asked whether it has left its shield, in seconds."""


class AsyncioTasks:
    """Plain asyncio tasks: the cheapest. `drain` stands in for the task group that would wait for them."""

    def __init__(self, drive: Drive) -> None:
        self._drive = drive
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()
        self._entrance: Entrance | None = None

    async def __aenter__(self) -> AsyncioTasks:
        self._entrance = entrance_of(self._loop)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        entrance, self._entrance = self._entrance, None
        if entrance is not None:
            entrance.close()

    def closed(self) -> bool:
        return self._loop.is_closed()

    def wake(self, act: Callable[[T], object], of: T) -> None:
        # In a context of ours: an eager task factory enters the call's own, which must not be entered already.
        entrance = self._entrance
        if entrance is not None:
            entrance.send(act, of)
        else:
            self._loop.call_soon_threadsafe(act, of, context=self._context)

    def spawn(self, call: Call) -> None:
        # An eager task can be over when create_task returns: it has let go of all by then.
        task = self._loop.create_task(self._drive(call), name=call.name, context=call.context)
        if not call.done:
            call.task = task

    def never_began(self, call: Call) -> bool:
        """Whether the task of *call* was cancelled by somebody before its first step, and so never ran `_drive`."""
        task = call.task
        return task is not None and task.done()

    def is_driving(self, call: Call) -> bool:
        """Whether *call* is what the loop is running right now; else its coroutine is being closed from outside."""
        current = asyncio.current_task(self._loop)
        return current is not None and call.task in (None, current)

    def cancel(self, call: Call) -> None:
        """Cancel once, as asyncio does, so that the `finally` blocks of the coroutine may await; but not inside a shield."""
        if call.task is None:  # it is just beginning, or has ended
            if not call.done:
                self._loop.call_soon(self.cancel, call)
        elif may_be_cancelled(call.task):
            call.task.cancel()
        else:
            self._loop.call_later(SHIELD_POLL_S, self.cancel, call)

    def cancel_begun(self, call: Call) -> None:
        """Cancel from within, at the first step's end: the coroutine may enter a shield before it awaits."""
        self._loop.call_soon(self.cancel, call, context=self._context)

    async def drain(self, calls: Collection[Call], start: Act, finish: Act, *, hard: bool) -> None:
        """Wait for the end of all *calls*; if *hard*, cancel as AnyIO's scopes do: whatever they await, save in a shield."""
        while calls:
            tasks: dict[Any, Call] = {}
            pause_s = SHIELD_POLL_S if hard else None
            for call in list(calls):
                if call.task is None:  # accepted, and its wake-up is still to come
                    (finish if hard else start)(call)
                else:
                    tasks[call.task] = call
                    if hard and may_be_cancelled(call.task):
                        call.task.cancel()
                        pause_s = 0
            if tasks:
                done, _ = await asyncio.wait(tasks, timeout=pause_s)
                for task in done:  # one that was cancelled before its first step never ran `_drive`
                    finish(tasks[task])


class GroupTasks:
    """Tasks of an AnyIO task group, on any backend."""

    def __init__(self, drive: Drive) -> None:
        self._drive = drive
        self._token = current_token()
        self._group = anyio.create_task_group()

    async def __aenter__(self) -> GroupTasks:
        await self._group.__aenter__()
        return self

    async def __aexit__(self, *exc_info: Any) -> bool | None:
        return await self._group.__aexit__(*exc_info)

    def closed(self) -> bool:
        return False  # a backend that is over says so in `wake`

    def wake(self, act: Callable[[T], object], of: T) -> None:
        native: Any = self._token.native_token
        native.run_sync_soon(act, of)

    def spawn(self, call: Call) -> None:
        call.task = True
        call.context.run(self._start, call)

    def _start(self, call: Call) -> None:
        self._group.start_soon(self._drive_in_scope, call, name=call.name)

    async def _drive_in_scope(self, call: Call) -> None:
        call.task = anyio.get_current_task()
        with anyio.CancelScope() as call.scope:
            await self._drive(call)

    def never_began(self, call: Call) -> bool:
        return False  # a task of a group always takes its first step

    def is_driving(self, call: Call) -> bool:
        try:
            return current_token() == self._token
        except RuntimeError:  # no loop is running on this thread
            return False

    def cancel(self, call: Call) -> None:
        if call.scope is not None:
            call.scope.cancel()

    cancel_begun = cancel

    async def drain(self, calls: Collection[Call], start: Act, finish: Act, *, hard: bool) -> None:
        """The group waits for the end of all calls that were started."""
        for call in list(calls):
            if call.task is None:
                (finish if hard else start)(call)
        if hard:
            self._group.cancel_scope.cancel()

"""How a dispatcher runs its calls as tasks: natively on asyncio, in an AnyIO task group elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import anyio
from anyio.lowlevel import checkpoint, current_token

if TYPE_CHECKING:
    from ._dispatch import Call

Drive = Callable[["Call"], Coroutine[Any, Any, None]]


class AsyncioTasks:
    """Plain asyncio tasks: the cheapest. `drain` stands in for the task group that would wait for them."""

    def __init__(self, drive: Drive) -> None:
        self._drive = drive
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()
        self.scope = type(anyio.CancelScope())
        """The backend's own class: AnyIO looks it up at each `CancelScope()`, which costs as much again."""

    async def __aenter__(self) -> AsyncioTasks:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        pass

    def closed(self) -> bool:
        return self._loop.is_closed()

    def wake(self, callback: Callable[[Call], None], call: Call) -> None:
        # In a context of ours: an eager task factory enters the call's own, which must not be entered already.
        self._loop.call_soon_threadsafe(callback, call, context=self._context)

    def spawn(self, call: Call) -> None:
        # An eager task can be over when create_task returns: it has let go of all by then.
        task = self._loop.create_task(self._drive(call), name=call.name, context=call.context)
        if not call.done:
            call.task = task

    def cancel(self, call: Call) -> None:
        """Cancel once, as asyncio does: the `finally` blocks of the coroutine may await."""
        task = call.task if call.task is not None else asyncio.current_task()
        if task is not None:
            task.cancel()

    def cancel_hard(self, calls: Iterable[Call]) -> None:
        """Cancel as AnyIO's scopes do: whatever the coroutines await, unless it is shielded."""
        for call in tuple(calls):
            if call.scope is not None:
                call.scope.cancel()
            elif call.task is not None:
                call.task.cancel()

    async def drain(self, calls: dict[Call, None], finish_cancelled: Callable[[Call], None]) -> None:
        while calls:
            tasks = {call.task: call for call in tuple(calls) if call.task is not None}
            if tasks:
                done, _ = await asyncio.wait(tasks)
                for task in done:  # one that was cancelled before its first step never ran `_drive`
                    finish_cancelled(tasks[task])
            else:
                await asyncio.sleep(0)  # accepted, and about to be spawned


class GroupTasks:
    """Tasks of an AnyIO task group, on any backend."""

    scope = anyio.CancelScope

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

    def wake(self, callback: Callable[[Call], None], call: Call) -> None:
        native: Any = self._token.native_token
        native.run_sync_soon(callback, call)

    def spawn(self, call: Call) -> None:
        call.task = True
        call.context.run(self._start, call)

    def _start(self, call: Call) -> None:
        self._group.start_soon(self._drive, call, name=call.name)

    def cancel(self, call: Call) -> None:
        if call.scope is not None:
            call.scope.cancel()

    def cancel_hard(self, calls: Iterable[Call]) -> None:
        self._group.cancel_scope.cancel()

    async def drain(self, calls: dict[Call, None], finish_cancelled: Callable[[Call], None]) -> None:
        while any(call.task is None for call in tuple(calls)):
            await checkpoint()
        # the group waits for the rest

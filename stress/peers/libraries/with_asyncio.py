"""The standard library. `asyncio.run` in a thread cancels what is left when its main coroutine ends, and closes the loop."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

from ..model import Async, Call, CoroutineFunction, Library, Sync

Run = Callable[[Coroutine[Any, Any, None]], object]

CLOSE_S = 10.0
"""How long a closed loop's thread is waited for, in seconds; it is daemonic."""


@contextmanager
def loop_in_thread(run: Run = asyncio.run) -> Iterator[asyncio.AbstractEventLoop]:
    loop: asyncio.AbstractEventLoop
    over: asyncio.Event
    ready = threading.Event()

    async def main() -> None:
        nonlocal loop, over
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        ready.set()
        await over.wait()

    thread = threading.Thread(target=lambda: run(main()), name="loop", daemon=True)
    thread.start()
    ready.wait()
    try:
        yield loop
    finally:
        with suppress(RuntimeError):  # it is closed
            loop.call_soon_threadsafe(over.set)
        thread.join(CLOSE_S)


class AsyncIO(Library):
    name = "asyncio"
    used = (
        "`to_thread`; `run_in_executor` with an executor of its own where a limit is wanted; "
        "`run_coroutine_threadsafe(...).result()` on a loop that `asyncio.run` runs in a daemon thread"
    )

    def awaitable(self, func: Sync) -> Async:
        return functools.partial(asyncio.to_thread, func)

    def limit(self, tokens: int) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(tokens)

    def limited(self, func: Sync, limit: Any) -> Async:
        async def call(*args: Any) -> Any:
            context = contextvars.copy_context()
            return await asyncio.get_running_loop().run_in_executor(limit, functools.partial(context.run, func, *args))

        return call

    def abandonable(self, func: Sync, limit: Any = None) -> Async:
        return self.awaitable(func) if limit is None else self.limited(func, limit)

    def below(self, func: CoroutineFunction) -> Sync:
        loop = asyncio.get_running_loop()
        return lambda *args: asyncio.run_coroutine_threadsafe(func(*args), loop).result()

    @contextmanager
    def closable(self) -> Iterator[Call]:
        with loop_in_thread() as loop:
            yield lambda func, *args: asyncio.run_coroutine_threadsafe(func(*args), loop).result()


LIBRARY = AsyncIO()

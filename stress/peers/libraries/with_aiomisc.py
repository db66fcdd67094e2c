"""aiomisc. Its `run` gives the loop its own pool of threads, which `threaded` uses."""

from __future__ import annotations

import functools
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import aiomisc
from aiomisc.thread_pool import run_in_executor

from ..model import Async, Call, CoroutineFunction, Library, Sync
from .with_asyncio import loop_in_thread


def _run(main: Coroutine[Any, Any, Any]) -> Any:
    return aiomisc.run(main, log_config=False)


class AioMisc(Library):
    name = "aiomisc"
    distribution = "aiomisc"
    used = (
        "`threaded(func)` under `aiomisc.run`; a `ThreadPoolExecutor` of its own where a limit is wanted; "
        "`sync_await` in its worker threads, `sync_wait_coroutine(loop, async_func)` elsewhere"
    )

    def run(self, main: CoroutineFunction) -> Any:
        return _run(main())

    def awaitable(self, func: Sync) -> Async:
        return aiomisc.threaded(func)

    def limit(self, tokens: int) -> aiomisc.ThreadPoolExecutor:
        return aiomisc.ThreadPoolExecutor(tokens)

    def limited(self, func: Sync, limit: Any) -> Async:
        async def call(*args: Any) -> Any:
            return await run_in_executor(func, limit, args)

        return call

    def abandonable(self, func: Sync, limit: Any = None) -> Async:
        return self.awaitable(func) if limit is None else self.limited(func, limit)

    def below(self, func: CoroutineFunction) -> Sync:
        return functools.partial(aiomisc.sync_await, func)

    @contextmanager
    def closable(self) -> Iterator[Call]:
        with loop_in_thread(_run) as loop:
            yield functools.partial(aiomisc.sync_wait_coroutine, loop)


LIBRARY = AioMisc()

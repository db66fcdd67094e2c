"""Which threads asyncify uses on asyncio: ours; AnyIO's where that ever renames the thread-locals that ours need."""

from __future__ import annotations

import contextvars
import threading

import anyio
import anyio.from_thread
import pytest
from anyio import to_thread

from backends import BACKENDS, Backend
from gllm_core.concurrency import _anyio_internals, _asyncify, asyncify, syncify
from handshakes import WAIT_S, Gate, all_tokens_come_back

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> Backend:
    return BACKENDS["asyncio"]


@pytest.fixture
def without_threadlocals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_asyncify, "HAS_WORKER_THREADLOCALS", False)


def test_this_anyio_lets_us_use_our_own_threads() -> None:
    """If this fails, AnyIO has moved what our worker threads need, and asyncify has become slower. proves: A12"""
    assert _anyio_internals.HAS_WORKER_THREADLOCALS


@pytest.mark.usefixtures("without_threadlocals")
async def test_anyios_threads_give_value_error_and_context() -> None:
    """On AnyIO's threads, too, outcomes are the same objects and the context is a copy. proves: A2, A8"""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("awaiter")
    error = KeyError("error")

    def value() -> tuple[str, bool, str]:
        found = variable.get()
        variable.set("function")
        return found, threading.get_ident() == here, threading.current_thread().name

    def fails() -> None:
        raise error

    here = threading.get_ident()
    found, on_loop, name = await asyncify(value)()
    assert (found, on_loop, name.startswith("gllm")) == ("awaiter", False, False)
    assert variable.get() == "awaiter"
    with pytest.raises(KeyError) as caught:
        await asyncify(fails)()
    assert caught.value is error


@pytest.mark.usefixtures("without_threadlocals")
async def test_anyios_threads_hold_the_token_until_the_function_returns() -> None:
    """On AnyIO's threads, too, an abandoned function keeps its token until it returns. proves: A3, A6"""
    limiter = anyio.CapacityLimiter(1)
    gate = Gate()
    async with anyio.create_task_group() as group:
        group.start_soon(asyncify(gate, cancellable=True, limiter=limiter))
        await gate.running()
        group.cancel_scope.cancel()
    assert limiter.borrowed_tokens == 1
    gate.leave.set()
    with anyio.fail_after(WAIT_S):
        await asyncify(lambda: None, limiter=limiter)()
    await all_tokens_come_back(limiter)


@pytest.mark.usefixtures("without_threadlocals")
async def test_anyios_threads_pass_a_cancellation_on() -> None:
    """On AnyIO's threads, too, the coroutine below the function is cancelled with its awaiter. proves: A7, S7"""
    started = anyio.Event()
    cleaned = threading.Event()

    async def endless() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            cleaned.set()

    def function() -> None:
        anyio.from_thread.run_sync(started.set)
        syncify(endless)()

    async with anyio.create_task_group() as group:
        group.start_soon(asyncify(function))
        await started.wait()
        group.cancel_scope.cancel()
    assert cleaned.is_set()


@pytest.mark.usefixtures("without_threadlocals")
async def test_anyios_threads_lend_tokens() -> None:
    """On AnyIO's threads, too, nesting on the default limiter does not starve. proves: A13"""
    to_thread.current_default_thread_limiter().total_tokens = 1

    async def inner() -> int:
        return await asyncify(lambda: 7)()

    with anyio.fail_after(WAIT_S):
        assert await asyncify(syncify(inner))() == 7

"""must_finish ends a hang, and its report says where."""

from __future__ import annotations

import asyncio
import signal
import threading
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest

from gllm_core.concurrency import syncify
from gllm_core.concurrency.testing import HangError, _hangs, must_finish
from subprocess_tools import run_program

SOON_S = 0.3


async def outermost() -> None:
    async for _ in innermost():
        pass


class Shy:
    """An awaitable that waits for ever and cannot say what it is."""

    def __await__(self) -> Iterator[Any]:
        self._inner = anyio.Event().wait().__await__()
        return self

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return next(self._inner)

    def __repr__(self) -> str:
        raise ValueError("half made")


async def innermost() -> AsyncIterator[int]:
    await anyio.Event().wait()
    yield 1


def test_blocked_main_thread() -> None:
    """A wait in the main thread ends, and the report has its stack."""
    with pytest.raises(HangError) as caught, must_finish(SOON_S):
        threading.Event().wait()
    assert "in test_blocked_main_thread" in caught.value.report
    assert "thread 'MainThread'" in caught.value.report


def test_syncified_call() -> None:
    """The report has the whole await chain of the coroutine, through an async generator, and the call's name."""
    with pytest.raises(HangError) as caught, must_finish(SOON_S):
        syncify(outermost)()
    report = caught.value.report
    chain = report[report.index("task 'outermost'") :]
    assert chain.index("in outermost") < chain.index("in innermost") < chain.index("in Event.wait") < chain.index("waits for")
    assert "calls in flight: outermost" in report


def test_task() -> None:
    """In a task, the hang ends that task's block; task and loop go on."""

    async def main() -> int:
        with pytest.raises(HangError, match="in innermost"), must_finish(SOON_S):
            await outermost()
        await asyncio.sleep(0)
        return 42

    assert asyncio.run(main()) == 42


def test_task_of_trio() -> None:
    """The same on trio; what the block raises itself, or what cancels it from outside, is not touched."""
    trio = pytest.importorskip("trio")

    async def main() -> int:
        with pytest.raises(HangError, match="in test_task_of_trio"), must_finish(SOON_S):
            await trio.sleep_forever()
        with pytest.raises(ZeroDivisionError), must_finish(60):
            raise ZeroDivisionError
        with trio.CancelScope() as scope, must_finish(60):
            scope.cancel()
            await trio.sleep_forever()
        await trio.lowlevel.checkpoint()
        return 42

    assert trio.run(main) == 42


def test_things_that_do_not_want_to_be_looked_at() -> None:
    """A weak proxy whose object is gone, and what is waited for and cannot say what it is, keep no hang from being ended."""
    shy = Shy()
    gone = weakref.proxy(shy)
    del shy

    async def main() -> None:
        never: Any = Shy()
        await never

    with pytest.raises(HangError) as caught, must_finish(SOON_S):
        syncify(main)()
    assert "Shy', whose repr raised ValueError" in caught.value.report
    with pytest.raises(ReferenceError):
        str(gone)


def test_a_hang_ends_without_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever keeps the report from being made does not keep the block from being ended."""

    def report() -> str:
        raise MemoryError

    monkeypatch.setattr(_hangs, "report", report)
    with pytest.raises(HangError, match="no report: MemoryError"), must_finish(SOON_S):
        threading.Event().wait()


def test_finished_in_time() -> None:
    """A block that ends in time is left alone, and the signal handler is what it was."""
    before = signal.getsignal(signal.SIGALRM)
    with must_finish(60):
        assert syncify(asyncio.sleep)(0, 42) == 42
    assert signal.getsignal(signal.SIGALRM) is before


def test_own_error_passes() -> None:
    """An error of the block that ends in time is not touched."""
    with pytest.raises(ZeroDivisionError), must_finish(60):
        raise ZeroDivisionError


def test_what_cannot_be_interrupted_ends_with_the_process() -> None:
    """A block of another thread ends with the process, status 3, and the report on stderr."""
    result = run_program(
        """
        import threading
        from gllm_core.concurrency.testing import must_finish
        def hang():
            with must_finish(0.2):
                threading.Event().wait()
        thread = threading.Thread(target=hang)
        thread.start()
        thread.join()
        """
    )
    assert result.status == 3
    assert "not finished after 0.2 s" in result.stderr
    assert "in hang" in result.stderr

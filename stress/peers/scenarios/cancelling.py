"""Cancellation of an awaiter: while the function runs, in the form that leaves it behind, and before it began."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import threading
import time
from typing import Any

from ..model import Library
from ..scene import ABSENCE_S, WAIT_S, Gate, call_once, fails, must_happen, scenario, within_limit
from .ways import Way, checkpoints, native, scope_of_anyio, timeout_of_asyncio

GROUP = "Cancellation"


def _is_delivered_after(library: Library, cancel: Way) -> None:
    async def main() -> None:
        gate = Gate()
        function = library.awaitable(gate)

        async def ready() -> None:
            await must_happen(gate.entered, "the function did not start")

        async def call() -> Any:
            value = await function()
            await checkpoints()
            return value

        task = await cancel(call, ready)
        await asyncio.wait([task], timeout=ABSENCE_S)
        early = task.done()
        gate.leave.set()
        try:
            value = await within_limit(task, "the awaiter did not end when the function had returned")
        except asyncio.CancelledError:
            if early:
                fails("the awaiter left while the function ran on")
            return
        fails(f"the cancellation was lost: the awaiter went on with {value!r}")

    library.run(main)


@scenario(
    "A5", "`task.cancel()` while the function runs: the awaiter stays until it returns, and is then cancelled", group=GROUP
)
def cancel_native(library: Library) -> None:
    _is_delivered_after(library, native)


@scenario("A5", "the same with `asyncio.timeout`", group=GROUP)
def cancel_timeout(library: Library) -> None:
    _is_delivered_after(library, timeout_of_asyncio)


@scenario("A5", "the same with an AnyIO cancel scope", group=GROUP)
def cancel_scope(library: Library) -> None:
    _is_delivered_after(library, scope_of_anyio)


@scenario("A6", "In the form whose awaiter leaves when cancelled: it leaves while the function runs", group=GROUP)
def cancel_abandons(library: Library) -> None:
    async def main() -> None:
        gate = Gate()
        task = asyncio.ensure_future(call_once(library.abandonable(gate)))
        await must_happen(gate.entered, "the function did not start")
        task.cancel()
        try:
            await within_limit(task, "the awaiter stayed")
        except asyncio.CancelledError:
            return
        finally:
            gate.leave.set()
        fails("the cancellation was lost")

    library.run(main)


class _Lost(Exception):  # what a function raises when nobody waits for it any more
    pass


@scenario(
    "A6",
    "What a function raises after its awaiter has left is reported somewhere: a log record, a hook, the loop's handler",
    group=GROUP,
)
def error_abandoned(library: Library) -> None:
    reported = threading.Event()

    def note(error: object) -> None:
        if isinstance(error, _Lost):
            reported.set()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            note(record.exc_info[1] if isinstance(record.exc_info, tuple) else None)

    logging.getLogger().addHandler(Handler())
    sys.unraisablehook = lambda args: note(args.exc_value)
    threading.excepthook = lambda args: note(args.exc_value)

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: note(context.get("exception")))
        gate = Gate(_Lost())
        task = asyncio.ensure_future(call_once(library.abandonable(gate)))
        await must_happen(gate.entered, "the function did not start")
        task.cancel()
        await asyncio.wait([task], timeout=WAIT_S)
        gate.leave.set()
        await must_happen(gate.left, "the function did not end")
        del gate, task
        end = time.monotonic() + 2 * ABSENCE_S
        while not reported.is_set() and time.monotonic() < end:
            gc.collect()  # some report what nobody has asked for when it is collected
            await asyncio.sleep(0.02)
        if not reported.is_set():
            fails("nothing was reported")

    library.run(main)


@scenario("A4", "A call that waits for a free thread can be cancelled at once, and its function never runs", group=GROUP)
def cancel_queued(library: Library) -> None:
    async def main() -> None:
        limit = library.limit(1)
        first, second = Gate(), Gate()
        running = asyncio.ensure_future(call_once(library.limited(first, limit)))
        await must_happen(first.entered, "the function did not start")
        waiting = asyncio.ensure_future(call_once(library.limited(second, limit)))
        await checkpoints()
        waiting.cancel()
        second.leave.set()
        try:
            await within_limit(waiting, "the waiting call was not cancelled")
        except asyncio.CancelledError:
            pass
        finally:
            first.leave.set()
        await within_limit(running, "the running call did not end")
        third = Gate()
        third.leave.set()
        await within_limit(call_once(library.limited(third, limit)), "a later call got no thread")
        if second.entered.is_set():
            fails("the cancelled function ran")

    library.run(main)

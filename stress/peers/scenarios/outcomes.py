"""What passes over the bridge: context variables, exceptions, and those exceptions that end loops and threads."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
from collections.abc import Callable
from typing import NoReturn

from ..model import Library, NotOffered
from ..scene import WAIT_S, InThread, call_once, fails, one, scenario, shown, within_limit

GROUP = "Outcomes and context"
variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


@scenario("A2", "The function sees the awaiter's context variables", group=GROUP)
def context_to_thread(library: Library) -> None:
    async def main() -> None:
        variable.set("set")
        seen = await library.awaitable(variable.get)()
        if seen != "set":
            fails(f"the variable was {seen} in the function")

    library.run(main)


async def _get() -> str:
    await asyncio.sleep(0)
    return variable.get()


@scenario("S3", "The coroutine sees the caller's context variables", group=GROUP)
def context_to_loop(library: Library) -> None:
    with library.opened() as call:
        variable.set("set")
        seen = call(_get)
        if seen != "set":
            fails(f"the variable was {seen} in the coroutine")


class _Mine(Exception):
    pass


class _Raiser:
    """Raises one exception with a cause and a context, and knows afterwards whether that is what arrived."""

    def __init__(self) -> None:
        self.cause, self.error = _Mine("cause"), _Mine("error")

    def __call__(self) -> NoReturn:
        try:
            raise LookupError("context")
        except LookupError as context:
            self.context = context
            raise self.error from self.cause

    async def in_coroutine(self) -> NoReturn:
        await asyncio.sleep(0)
        self()

    def check(self, caught: BaseException) -> None:
        if caught is not self.error:
            fails(f"another object arrived: {shown(caught)}")
        innermost = caught.__traceback__
        while innermost is not None and innermost.tb_next is not None:
            innermost = innermost.tb_next
        if innermost is None or innermost.tb_frame.f_code is not _Raiser.__call__.__code__:
            fails("the traceback does not reach the raising line")
        if caught.__cause__ is not self.cause:
            fails(f"its __cause__ is {caught.__cause__!r} instead of the function's own")
        if caught.__context__ is not self.context:
            fails(f"its __context__ is {caught.__context__!r} instead of the function's own")


def _arrives_whole(raiser: _Raiser, call: Callable[[], object]) -> None:
    try:
        call()
    except NotOffered:
        raise
    except Exception as caught:  # noqa: BLE001 # whatever arrives is looked at
        raiser.check(caught)
    else:
        fails("nothing was raised")


@scenario(
    "A8",
    "An exception of the function arrives as the same object: traceback to the raising line, `__cause__`, `__context__`",
    group=GROUP,
)
def exception_from_thread(library: Library) -> None:
    raiser = _Raiser()

    async def main() -> object:
        return await library.awaitable(raiser)()

    _arrives_whole(raiser, lambda: library.run(main))


@scenario("S2", "An exception of the coroutine arrives as the same object, likewise", group=GROUP)
def exception_from_loop(library: Library) -> None:
    raiser = _Raiser()

    async def fail() -> None:
        await raiser.in_coroutine()

    with library.opened() as call:
        _arrives_whole(raiser, lambda: call(fail))


@scenario(
    "A8",
    "`StopIteration` raised by the function reaches the awaiter, as `RuntimeError`, with the original as its cause",
    group=GROUP,
)
def stop_iteration(library: Library) -> None:
    async def main() -> None:
        task = asyncio.ensure_future(call_once(library.awaitable(lambda: next(iter(())))))
        try:
            await within_limit(task, "the awaiter waits for ever")
        except RuntimeError as error:
            if not isinstance(error.__cause__, StopIteration):
                fails(f"{shown(error)}, without the original as its cause")
        except BaseException as error:  # noqa: BLE001 # whatever it is
            fails(f"the awaiter got {shown(error)}")

    library.run(main)


@scenario("A8", "`SystemExit` raised by the function reaches its awaiter; the next call works", group=GROUP)
def system_exit_in_thread(library: Library) -> None:
    async def main() -> None:
        async def call() -> str:
            try:
                await library.awaitable(lambda: sys.exit(3))()
            except SystemExit as error:
                return f"{error.code}"
            return "nothing"

        got = await within_limit(call(), "the awaiter waits for ever")
        if got != "3":
            fails(f"the awaiter got {got}")
        await within_limit(call_once(library.awaitable(lambda: 1)), "the next call hung")

    library.run(main)


@scenario(
    "S5",
    "`SystemExit` raised by a coroutine reaches its caller alone: another call in flight ends well, and so does the next",
    group=GROUP,
)
def system_exit_in_coroutine(library: Library) -> None:
    begun, let_go = threading.Event(), threading.Event()

    async def other() -> int:
        begun.set()
        while not let_go.is_set():  # noqa: ASYNC110 # another thread sets it
            await asyncio.sleep(0.002)
        return 2

    async def leave() -> None:
        await asyncio.sleep(0)
        sys.exit(3)

    with library.opened() as call:
        beside = InThread(lambda: call(other))
        if not begun.wait(WAIT_S):
            fails("the other call did not start")
        leaver = InThread(lambda: call(leave))
        hung = not leaver.ended()
        let_go.set()
        if not beside.ended():
            fails("the other call hung")
        if beside.error is not None:
            fails(f"the other call got {shown(beside.error)}")
        if hung:
            fails("its caller hung")
        if not isinstance(leaver.error, SystemExit):
            fails(f"its caller got {'nothing' if leaver.error is None else shown(leaver.error)}")
        after = InThread(lambda: call(one))
        if not after.ended():
            fails("the next call hung")
        if after.error is not None:
            fails(f"the next call got {shown(after.error)}")

"""A child made by `os.fork` after the parent has used the bridge."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from ..model import Library
from ..scene import WAIT_S, call_once, fails, one, scenario, shown

GROUP = "Exit and fork"


def _works_in_child(work: Callable[[], Any]) -> None:
    work()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(int(WAIT_S))
        try:
            work()
            said = "worked"
        except BaseException as error:  # noqa: BLE001 # the child ends here, whatever it is
            said = shown(error)
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        fails("the call hung in the child" if os.WTERMSIG(status) == signal.SIGALRM else f"the child died: {status}")
    if said != "worked":
        fails(f"in the child: {said}")
    work()


@scenario("P2", "`os.fork` after a synchronous call: the same call works in the child, and still in the parent", group=GROUP)
def fork_call(library: Library) -> None:
    with library.opened() as call:
        _works_in_child(lambda: call(one))


@scenario("P5", "`os.fork` after an awaited function: the same works in the child, on a loop of its own", group=GROUP)
def fork_await(library: Library) -> None:
    async def main() -> None:
        await call_once(library.awaitable(lambda: 1))

    _works_in_child(lambda: library.run(main))

"""The interpreter's exit. What decides is what the process that looks on sees: status, stderr, and whether it ends at all."""

from __future__ import annotations

import asyncio
import atexit

from ..model import Library
from ..scene import WAIT_S, Endless, Gate, InThread, call_once, fact, fails, must_happen, one, scenario, shown

GROUP = "Exit and fork"


def _in_flight(library: Library) -> None:
    endless = Endless()
    with library.opened() as call:
        InThread(lambda: call(endless.run))
        if not endless.began.wait(WAIT_S):
            fails("the call did not start")
        fact("the program is over")


@scenario(
    "P3",
    "The program ends while a daemon thread waits in a synchronous call: it exits, with status 0 and nothing on stderr",
    group=GROUP,
    until_exit=True,
)
def exit_in_flight(library: Library) -> None:
    _in_flight(library)


@scenario("P3", "the same, and the `finally` blocks of the coroutine run", group=GROUP, until_exit=True, facts=("finally",))
def exit_runs_finally(library: Library) -> None:
    _in_flight(library)


@scenario(
    "P4",
    "An `atexit` callback that the program registered can still make a synchronous call",
    group=GROUP,
    until_exit=True,
    facts=("late 1",),
)
def exit_late_call(library: Library) -> None:
    opened = library.opened()
    call = opened.__enter__()  # and never left: the loop is to last
    call(one)

    def late(opened: object = opened) -> None:
        try:
            fact(f"late {call(one)}")
        except BaseException as error:  # noqa: BLE001 # whatever it is
            fails(f"refused: {shown(error)}")

    atexit.register(late)


@scenario("A12", "An abandoned function that still blocks does not delay the exit", group=GROUP, until_exit=True)
def exit_abandoned(library: Library) -> None:
    async def main() -> None:
        gate = Gate()
        task = asyncio.ensure_future(call_once(library.abandonable(gate)))
        await must_happen(gate.entered, "the function did not start")
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=WAIT_S)
        if not done:
            fails("the awaiter stayed, though cancelled")

    library.run(main)
    fact("the program is over")

"""How many schedules a small program has, counted without any thread: what the explorer's numbers are held against.

A program is a list of operations: `step` (a line), `acquire NAME`, `release NAME`; thread 0 starts all others and joins them.
"""

from __future__ import annotations

import threading
from functools import cache
from typing import Any, NamedTuple

from explore.one_line import step

Program = tuple[str, ...]


class State(NamedTuple):
    """Of all threads, and of the locks."""

    at: tuple[int, ...]
    """Index of each thread's next operation."""
    asked: tuple[bool, ...]
    """Whether the scheduling point before that operation is behind it."""
    status: tuple[str, ...]
    """`unborn`, `ready`, `done`, or what it waits for."""
    taken: tuple[tuple[str, int], ...]
    """The locks that are held, and how many points there had been when they were taken."""
    points: int


def _set(items: tuple[Any, ...], index: int, value: Any) -> tuple[Any, ...]:
    return (*items[:index], value, *items[index + 1 :])


def _wake(state: State, event: str) -> State:
    return state._replace(status=tuple("ready" if status == event else status for status in state.status))


def count(programs: tuple[Program, ...], preemptions: int | None) -> int:
    """The number of schedules of *programs*, each on a thread of its own, with at most so many preemptions."""
    numbers = range(1, len(programs) + 1)
    main = tuple(f"start {number}" for number in numbers) + tuple(f"join {number}" for number in numbers)
    code = (main, *programs)

    @cache
    def run(state: State, me: int, budget: int) -> int:
        if state.at[me] == len(code[me]):
            return switch(_wake(state._replace(status=_set(state.status, me, "done")), f"join {me}"), budget)
        what, _, name = code[me][state.at[me]].partition(" ")
        held = dict(state.taken)
        point = {"step": True, "acquire": name not in held, "release": held.get(name) == state.points}.get(what, False)
        if point and not state.asked[me]:
            return ask(state._replace(asked=_set(state.asked, me, True)), me, budget)
        following = state._replace(at=_set(state.at, me, state.at[me] + 1), asked=_set(state.asked, me, False))
        if what == "acquire":
            if name in held:
                return switch(state._replace(asked=_set(state.asked, me, True), status=_set(state.status, me, name)), budget)
            held[name] = state.points
        elif what == "release":
            del held[name]
            following = _wake(following, name)
        elif what == "start":
            born = following._replace(status=_set(following.status, int(name), "ready"))
            return ask(born, me, budget)
        elif what == "join" and state.status[int(name)] != "done":
            return switch(state._replace(status=_set(state.status, me, f"join {name}")), budget)
        return run(following._replace(taken=tuple(sorted(held.items()))), me, budget)

    def ask(state: State, me: int, budget: int) -> int:
        """A point: any that is ready may go on; another one costs a preemption."""
        state = state._replace(points=state.points + 1)
        total = run(state, me, budget)
        if budget:
            total += sum(
                run(state, other, budget - 1) for other, status in enumerate(state.status) if status == "ready" and other != me
            )
        return total

    def switch(state: State, budget: int) -> int:
        """The one that was running cannot go on."""
        ready = [other for other, status in enumerate(state.status) if status == "ready"]
        assert ready or set(state.status) == {"done"}, "the program has a deadlock"
        return sum(run(state, other, budget) for other in ready) or 1

    nobody = ("unborn",) * len(programs)
    first = State((0,) * len(code), (False,) * len(code), ("ready", *nobody), (), 0)
    return run(first, 0, 1_000 if preemptions is None else preemptions)


def perform(programs: tuple[Program, ...]) -> None:
    """The same programs, on real threads."""
    locks = {
        name: threading.Lock() for program in programs for what, _, name in (each.partition(" ") for each in program) if name
    }

    def run(program: Program) -> None:
        for each in program:
            what, _, name = each.partition(" ")
            if what == "step":
                step()
            elif what == "acquire":
                locks[name].acquire()
            else:
                locks[name].release()

    threads = [threading.Thread(target=run, args=[program]) for program in programs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

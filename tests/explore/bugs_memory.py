"""Classic bugs of plain shared memory."""

from __future__ import annotations

import contextlib
import threading
from contextlib import nullcontext
from typing import Any

from explore.catalogue import Catalogue, together
from gllm_core.concurrency.testing.explore import Kind

catalogue = Catalogue(__name__)


@catalogue.add()
def lost_update(fixed: bool) -> None:
    lock: Any = threading.Lock() if fixed else nullcontext()
    counter = [0]

    def add() -> None:
        with lock:
            before = counter[0]
            counter[0] = before + 1

    together(add, add)
    assert counter == [2]


@catalogue.add()
def check_outside_the_lock(fixed: bool) -> None:
    lock = threading.Lock()
    account = [1]

    def withdraw() -> None:
        if account[0] < 1:
            return
        with lock:
            if fixed and account[0] < 1:
                return
            account[0] -= 1

    together(withdraw, withdraw)
    assert account == [0]


@catalogue.add()
def made_twice_at_first_use(fixed: bool) -> None:
    lock: Any = threading.Lock() if fixed else nullcontext()
    made: list[object] = []

    def get() -> None:
        with lock:
            if not made:
                made.append(object())

    together(get, get)
    assert len(made) == 1


@catalogue.add(Kind.EXCEPTION)
def early_publish(fixed: bool) -> None:
    class Thing:
        value: int

    shared: list[Thing] = []

    def publish() -> None:
        thing = Thing()
        if fixed:
            thing.value = 1
            shared.append(thing)
        else:
            shared.append(thing)
            thing.value = 1

    def use() -> None:
        if shared:
            assert shared[0].value == 1

    together(publish, use)


@catalogue.add()
def flag_before_data(fixed: bool) -> None:
    box: dict[str, Any] = {"ready": False, "data": None}

    def write() -> None:
        if fixed:
            box["data"] = 1
            box["ready"] = True
        else:
            box["ready"] = True
            box["data"] = 1

    def read() -> None:
        if box["ready"]:
            assert box["data"] == 1

    together(write, read)


@catalogue.add()
def aba(fixed: bool) -> None:
    """A stack's pop compares the top by value; the top was taken away and put back meanwhile."""
    following = {"a": "b", "b": None, "c": None}
    top: list[Any] = ["a", 0]
    freed: list[str] = []
    swap = threading.Lock()

    def compare_and_swap(old: Any, version: int, new: Any) -> bool:
        with swap:
            if top[0] != old or (fixed and top[1] != version):
                return False
            top[:] = [new, top[1] + 1]
            return True

    def pop() -> None:
        old, version = top
        new = following[old]
        if compare_and_swap(old, version, new):
            assert top[0] not in freed, "the top was freed"

    def pop_twice_and_push() -> None:
        with swap:
            if top[0] == "a":
                freed.append("b")
                following["a"] = None
                top[:] = ["a", top[1] + 3]

    together(pop, pop_twice_and_push)


@catalogue.add()
def torn_read(fixed: bool) -> None:
    lock: Any = threading.Lock() if fixed else nullcontext()
    pair = [0, 0]

    def write() -> None:
        with lock:
            pair[0] = 1
            pair[1] = 1

    def read() -> None:
        with lock:
            first = pair[0]
            second = pair[1]
        assert first == second

    together(write, read)


@catalogue.add(Kind.EXCEPTION)
def check_then_pop(fixed: bool) -> None:
    jobs = [1]

    def take() -> None:
        if fixed:
            with contextlib.suppress(IndexError):
                jobs.pop()
        elif jobs:
            jobs.pop()

    together(take, take)


@catalogue.add(Kind.EXCEPTION)
def changed_during_iteration(fixed: bool) -> None:
    members = {1: None, 2: None}

    def show() -> None:
        for member in tuple(members) if fixed else members:
            str(member)

    def join() -> None:
        members[3] = None

    together(show, join)


@catalogue.add()
def two_locks_for_one_thing(fixed: bool) -> None:
    one = threading.Lock()
    other = one if fixed else threading.Lock()
    counter = [0]

    def add(lock: Any) -> None:
        with lock:
            before = counter[0]
            counter[0] = before + 1

    together(lambda: add(one), lambda: add(other))
    assert counter == [2]

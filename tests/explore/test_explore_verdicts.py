"""What the explorer says, and above all what it does not say."""

from __future__ import annotations

import asyncio
import itertools
import re
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from explore.catalogue import together
from explore.one_line import step
from gllm_core.concurrency.testing.explore import Finding, Kind, Result, ScheduleError, Verdict, explore, search

LINES = ["explore.one_line"]


def _two_steps() -> None:
    def work() -> None:
        step()
        step()

    together(work, work)


def _lost_update() -> None:
    counter = [0]

    def add() -> None:
        before = counter[0]
        step()
        counter[0] = before + 1

    together(add, add)
    assert counter == [2], "an update was lost"


def _finding(result: Result, kind: Kind) -> Finding:
    assert result.verdict is Verdict.FAILED, str(result)
    assert result.finding is not None
    assert result.finding.kind is kind, str(result)
    assert not result.exhausted
    return result.finding


def test_exhausted_says_the_bound() -> None:
    """An exhaustive search that ends says within which bound."""
    result = search(_two_steps, preemptions=1, modules=LINES)
    assert result.exhausted
    assert str(result).startswith("EXHAUSTED <=1: ")


@pytest.mark.parametrize("budget", [{"schedules": 3}, {"seconds": 0.0}])
def test_budget_is_never_reported_as_held(budget: dict[str, Any]) -> None:
    """A search that a budget ends is not exhausted, and says why it stopped."""
    result = search(_two_steps, modules=LINES, **budget)
    assert result.verdict is Verdict.BUDGET
    assert not result.exhausted
    assert re.match(r"BUDGET \d+ \((schedules|time); not exhausted\)", str(result))
    assert explore(_two_steps, modules=LINES, **budget).verdict is Verdict.BUDGET


def test_budget_of_all_schedules_but_one_is_a_budget() -> None:
    """Not even the last schedule may be missing; with it, the search is exhausted."""
    total = search(_two_steps, modules=LINES).schedules
    assert search(_two_steps, modules=LINES, schedules=total - 1).verdict is Verdict.BUDGET
    assert search(_two_steps, modules=LINES, schedules=total).verdict is Verdict.EXHAUSTED


@pytest.mark.parametrize("strategy", ["pct", "random"])
def test_a_sample_says_its_size_and_is_reproducible(strategy: Any) -> None:
    """Samples are no exhaustion; the same seed finds the same schedule."""
    result = search(_two_steps, modules=LINES, strategy=strategy, schedules=10)
    assert result.verdict is Verdict.SAMPLED
    assert str(result).startswith(f"SAMPLED 10 {strategy.upper()}: ")
    assert search(_two_steps, modules=LINES, strategy=strategy, schedules=10_000, seconds=0).verdict is Verdict.BUDGET
    found = [search(_lost_update, modules=LINES, strategy=strategy, seed=5) for _ in range(2)]
    assert found[0].finding == found[1].finding
    assert found[0].schedules == found[1].schedules


@pytest.mark.parametrize("seed", range(10))
def test_a_sample_of_a_small_scenario_is_a_small_one(seed: int) -> None:
    """Where priorities change is chosen among the points that there are: twenty samples find an update that is lost."""

    def update_in_two_steps() -> None:
        lock, counter = threading.Lock(), [0]

        def add() -> None:
            with lock:
                value = counter[0]
            with lock:
                counter[0] = value + 1

        threads = [threading.Thread(target=add) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert counter == [2]

    _finding(search(update_in_two_steps, strategy="pct", schedules=20, seed=seed), Kind.ASSERTION)


def test_explore_raises_with_the_line_that_replays() -> None:
    """The failure is an AssertionError whose text has everything; the line in it fails in the same way."""
    with pytest.raises(ScheduleError, match="an update was lost") as caught:
        explore(_lost_update, modules=LINES)
    line = caught.value.result.replay_line
    assert line in str(caught.value)
    with pytest.raises(ScheduleError, match="an update was lost"):
        eval(line, {"explore": explore, "_lost_update": _lost_update})
    assert isinstance(caught.value.__cause__, AssertionError)


def test_a_finding_is_as_plain_as_can_be() -> None:
    """The schedule of a lost update has one choice that is not the plain one, however it was found."""
    for strategy in ("exhaustive", "pct", "random"):
        result = search(_lost_update, modules=LINES, strategy=strategy)
        finding = _finding(result, Kind.ASSERTION)
        assert len(finding.steps) == 1, str(result)
        assert "preempted by" in finding.steps[0]


def test_replay_of_a_correct_schedule() -> None:
    """A replay without a finding is a verdict of its own."""
    plain = f"/{_plain_length(_lost_update)}"
    assert search(_lost_update, modules=LINES, replay=plain).verdict is Verdict.REPLAYED


def _plain_length(scenario: Callable[[], object]) -> int:
    finding = search(scenario, modules=LINES, replay="/0").finding
    assert finding is not None
    found = re.search(r"now there were (\d+)", finding.message)
    assert found is not None, finding.message
    return int(found[1])


def test_a_schedule_that_is_none() -> None:
    """What is not a schedule is refused."""
    with pytest.raises(ValueError, match="not a schedule: 'nonsense'"):
        search(_two_steps, replay="nonsense")


def test_divergence_is_an_error() -> None:
    """A model that is not the same in each run is reported, with the choice where it differed."""
    runs = itertools.count()

    def scenario() -> None:
        extra = next(runs) % 2

        def work() -> None:
            for _ in range(2 + extra):
                step()

        together(work, work)

    finding = _finding(search(scenario, modules=LINES), Kind.DIVERGED)
    assert re.search(r"choice \d+ was .*, now ", finding.message)


def test_divergence_of_a_replay_is_an_error() -> None:
    """So is a recording of another program."""
    finding = _finding(search(_lost_update, modules=LINES, replay="3.5@7/9"), Kind.DIVERGED)
    assert "choice 3 was option 5 (thread 7)" in finding.message
    assert "now there were" in _finding(search(_two_steps, replay="/99"), Kind.DIVERGED).message


def test_uncontrolled_blocking_is_an_error() -> None:
    """A real lock that blocks is reported with its place, and is never a pass."""
    real = threading.Lock()

    def block() -> None:
        real.acquire()

    real.acquire()
    try:
        result = search(lambda: together(block, step), stall_s=0.2)
    finally:
        real.release()
    finding = _finding(result, Kind.UNCONTROLLED)
    assert re.search(r"uncontrolled blocking at .*test_explore_verdicts\.py:\d+ in .*\bblock: thread 'block'", finding.message)
    assert "did not reach a scheduling point" in finding.message
    assert "make it in the scenario; or import its module there, and name that in fresh=[...]" in finding.message


def test_a_lock_left_held_by_an_earlier_schedule() -> None:
    """State that outlives a schedule with a lock held is reported."""
    kept: list[Any] = []

    def scenario() -> None:
        if not kept:
            kept.append(threading.Lock())
        together(kept[0].acquire)

    finding = _finding(search(scenario), Kind.UNCONTROLLED)
    assert "left held by an earlier schedule; make it in the scenario; or import its module there" in finding.message


def test_deadlock_has_a_table() -> None:
    """Who waits for what, held by whom, where."""

    def scenario() -> None:
        one, other = threading.Lock(), threading.Lock()

        def forth() -> None:
            with one, other:
                pass

        def back() -> None:
            with other, one:
                pass

        together(forth, back)

    message = _finding(search(scenario), Kind.DEADLOCK).message
    assert re.search(r"1 forth .*test_explore_verdicts\.py:\d+ in scenario, held by 'back' .* in .*forth", message), message
    assert re.search(r"2 back .*held by 'forth' .* in .*back", message), message
    assert "the end of thread 'forth'" in message


def test_livelock_is_the_step_limit() -> None:
    """A schedule without an end is a finding."""

    def scenario() -> None:
        while True:
            time.sleep(0)

    assert "no end after 500 points" in _finding(search(scenario, max_steps=500), Kind.STEP_LIMIT).message


def test_exception_in_a_thread() -> None:
    """Whatever ends a thread is a finding, with its place; SystemExit is not."""

    def fail() -> None:
        raise KeyError("gone")

    finding = _finding(search(lambda: together(fail)), Kind.EXCEPTION)
    assert "KeyError: 'gone'" in finding.message
    assert "in thread 'fail'" in finding.message
    assert isinstance(finding.error, KeyError)

    def leave() -> None:
        raise SystemExit(3)

    assert search(lambda: together(leave)).exhausted


def test_exception_in_a_bare_thread() -> None:
    """The same for a thread that was started without `threading`."""
    import _thread

    def scenario() -> None:
        def fail() -> None:
            try:
                raise KeyError("gone")
            finally:
                done.release()

        done = _thread.allocate_lock()
        done.acquire()
        _thread.start_new_thread(fail, ())
        done.acquire()
        time.sleep(1)

    assert "KeyError: 'gone'" in _finding(search(scenario), Kind.EXCEPTION).message


def test_leaks() -> None:
    """A thread that never ends is a leak; a daemonic one where asked; an event loop that nobody closed, too."""

    def forever(daemon: bool) -> None:
        threading.Thread(target=threading.Event().wait, name="left", daemon=daemon).start()

    assert "left" in _finding(search(lambda: forever(False)), Kind.LEAK).message
    assert search(lambda: forever(True)).exhausted
    assert "left" in _finding(search(lambda: forever(True), daemons_may_stay=False), Kind.LEAK).message

    loops: list[asyncio.AbstractEventLoop] = []
    assert "event loop was not closed" in _finding(search(lambda: loops.append(asyncio.new_event_loop())), Kind.LEAK).message


def test_the_end_of_a_run_cuts_off_a_loop_that_is_being_made() -> None:
    """What is found is told, and what there is of the loop is closed."""

    class Loop(asyncio.SelectorEventLoop):
        def _make_self_pipe(self) -> None:
            super()._make_self_pipe()  # type: ignore[misc]
            made.append(self)
            raise ValueError("no more of it")

    made: list[Loop] = []
    assert "no more of it" in _finding(search(Loop), Kind.EXCEPTION).message
    assert made[0].is_closed()


def test_code_that_swallows_its_end_is_left_behind() -> None:
    """A thread that catches everything for ever does not keep the explorer."""

    def scenario() -> None:
        def stubborn() -> None:
            while True:
                try:
                    gate.acquire()
                except BaseException:  # noqa: BLE001, PERF203, RUF100 # that is the point
                    continue

        gate = threading.Lock()
        threading.Thread(target=stubborn, daemon=True).start()
        raise LookupError

    _finding(search(scenario), Kind.EXCEPTION)


def test_one_exploration_at_a_time() -> None:
    """An exploration inside another one is refused."""
    finding = _finding(search(lambda: search(_two_steps)), Kind.EXCEPTION)
    assert "one at a time" in finding.message


@pytest.mark.parametrize("fault", ["start", "wake-up", "timeout"])
def test_one_fault_in_each_schedule(fault: Any) -> None:
    """There is a schedule without a fault, and one for each place where it can happen; never two in one."""
    seen: list[int] = []

    def scenario() -> None:
        faults = 0
        for _ in range(2):
            if fault == "start":
                try:
                    thread = threading.Thread(target=int)
                    thread.start()
                    thread.join()
                except RuntimeError:
                    faults += 1
            elif fault == "timeout":
                event = threading.Event()
                thread = threading.Thread(target=event.set)
                thread.start()
                faults += not event.wait(1)
                thread.join()
            else:
                faults += asyncio.run(_wake())
        seen.append(faults)

    async def _wake() -> int:
        try:
            asyncio.get_running_loop().call_soon_threadsafe(int)
        except RuntimeError:
            return 1
        return 0

    assert search(scenario, preemptions=0, faults=[fault]).exhausted
    assert set(seen) == {0, 1}
    seen.clear()
    assert search(scenario, preemptions=0).exhausted
    assert set(seen) == {0}


def test_opcodes_reach_inside_a_line() -> None:
    """A race within one line is invisible to lines, and found by opcodes."""

    def scenario() -> None:
        box = Box()
        together(box.add, box.add)
        assert box.value == 2

    class Box:
        value = 0

        def add(self) -> None:
            self.value += 1

    assert search(scenario, modules=[__name__], preemptions=1).exhausted
    _finding(search(scenario, modules=[__name__], preemptions=1, opcodes=True), Kind.ASSERTION)

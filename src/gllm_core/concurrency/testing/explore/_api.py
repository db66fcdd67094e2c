"""`explore` and `search`: a scenario in, a verdict out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from ._arguments import (
    names,
    plain,
    refuse_options,
    refuse_scenario,
    refuse_unknown_modules,
    warn_of_unmet,
)
from ._options import Fault, Strategy
from ._real import monotonic
from ._report import Result, ScheduleError
from ._runner import Runner, Settings
from ._search import Search
from ._strategies import Pct, RandomWalk


def search(
    scenario: Callable[[], object],
    *,
    preemptions: int | None = 2,
    modules: Iterable[str] | str = (),
    fresh: Iterable[str] | str | None = None,
    strategy: Strategy = "exhaustive",
    schedules: int | None = None,
    seconds: float | None = None,
    seed: int = 0,
    replay: str | None = None,
    faults: Iterable[Fault] = (),
    opcodes: bool = False,
    max_steps: int = 20_000,
    daemons_may_stay: bool = True,
    stall_s: float = 5.0,
) -> Result:
    """Run *scenario* under many schedules, up to the first that fails, and say what came of it.

    Args:
        scenario: builds its objects anew, starts threads or event loops, waits for them, asserts. It is run once per
            schedule, on a thread of its own.
        preemptions: how often a schedule may take the baton from a thread that could go on; None for any number.
        modules: each line of these modules, and of those below them, is a place where another thread may come first.
        fresh: modules that an `import` inside the scenario loads anew in each schedule, so that their globals are born
            under control; None for *modules*, but not the scenario's own.
        strategy: "exhaustive" runs all schedules within the bound, the fewest preemptions first; "pct" samples with random
            priorities, "random" with random choices.
        schedules: run at most so many; 1,000 where a strategy samples.
        seconds: stop after so many seconds.
        seed: of the samples.
        replay: run this one schedule only, as a finding printed it.
        faults: what may fail, once in each schedule: "start" (no thread can be started), "wake-up"
            (`call_soon_threadsafe` raises RuntimeError), "timeout" (a timed wait ends before anybody else goes on).
        opcodes: each instruction of *modules* is a scheduling point instead of each line.
        max_steps: a schedule with more points than this is a livelock.
        daemons_may_stay: whether the end of all other threads ends the schedule, as that of a process; if False, a daemonic
            thread that never ends is a leak.
        stall_s: a thread that reaches no scheduling point for so many seconds blocks in something real.

    Returns:
        The verdict. Only `Verdict.EXHAUSTED` says that no schedule within the bound fails.

    Raises:
        TypeError, ValueError: an argument would make the search look at nothing: a coroutine function as scenario, a name in
            *modules* that is no module, a strategy or a fault that there is not. If no line of *modules* was met, a
            `RuntimeWarning` says so.

    **Threads:** one exploration at a time in a process. Threads that are not of the scenario are not controlled, nor touched.
    """
    refuse_scenario(scenario)
    modules, injected = names("modules", modules), names("faults", faults)
    refuse_unknown_modules(modules)
    refuse_options(
        preemptions=preemptions,
        strategy=strategy,
        faults=injected,
        schedules=schedules,
        seconds=seconds,
        max_steps=max_steps,
        stall_s=stall_s,
    )
    own = getattr(scenario, "__module__", "")
    settings = Settings(
        modules=modules,
        fresh=tuple(name for name in modules if not f"{own}.".startswith(name + "."))
        if fresh is None
        else names("fresh", fresh),
        opcodes=opcodes,
        faults=frozenset(injected),
        max_steps=max_steps,
        daemons_may_stay=daemons_may_stay,
        stall_s=stall_s,
    )
    with Runner(plain(scenario), settings) as runner:
        started = Search(runner, monotonic() + seconds if seconds is not None else None, schedules)
        if replay is not None:
            return started.replay(replay)
        if strategy == "exhaustive":
            result = started.exhaust(preemptions)
        else:
            result = started.sample(strategy, Pct(seed) if strategy == "pct" else RandomWalk(seed))
    if result.finding is None:
        if modules and not runner.met:
            warn_of_unmet(modules)
        return result
    return replace(result, replay_line=_replay_line(scenario, settings, result.finding.schedule))


def _replay_line(scenario: Callable[[], object], settings: Settings, schedule: str) -> str:
    name = getattr(scenario, "__qualname__", "scenario").rpartition(".")[2]
    plain = Settings()
    options = {
        "modules": list(settings.modules),
        "fresh": list(settings.fresh),
        "faults": sorted(settings.faults),
        "opcodes": settings.opcodes,
        "max_steps": settings.max_steps,
        "daemons_may_stay": settings.daemons_may_stay,
    }
    shown = [f"{key}={value!r}" for key, value in options.items() if value and value != getattr(plain, key)]
    if not settings.daemons_may_stay:
        shown.append("daemons_may_stay=False")
    return f"explore({', '.join([name, *shown, f'replay={schedule!r}'])})"


def explore(
    scenario: Callable[[], object],
    *,
    preemptions: int | None = 2,
    modules: Iterable[str] | str = (),
    fresh: Iterable[str] | str | None = None,
    strategy: Strategy = "exhaustive",
    schedules: int | None = None,
    seconds: float | None = None,
    seed: int = 0,
    replay: str | None = None,
    faults: Iterable[Fault] = (),
    opcodes: bool = False,
    max_steps: int = 20_000,
    daemons_may_stay: bool = True,
    stall_s: float = 5.0,
) -> Result:
    """Run *scenario* under many schedules; fail with the first that breaks it. The arguments are those of `search`.

    Returns:
        The verdict, which is not a failure; a search that a budget ended early says so, and is not `exhausted`.

    Raises:
        ScheduleError: a schedule fails. Its text has the line of code that replays it.
        TypeError, ValueError: as for `search`.

    Example:
        ```python
        def scenario():
            counter = Counter()
            threads = [threading.Thread(target=counter.add) for _ in range(2)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
            assert counter.value == 2

        explore(scenario, preemptions=2, modules=["my_counter"])
        ```
    """
    result = search(
        scenario,
        preemptions=preemptions,
        modules=modules,
        fresh=fresh,
        strategy=strategy,
        schedules=schedules,
        seconds=seconds,
        seed=seed,
        replay=replay,
        faults=faults,
        opcodes=opcodes,
        max_steps=max_steps,
        daemons_may_stay=daemons_may_stay,
        stall_s=stall_s,
    )
    if result.finding is not None:
        raise ScheduleError(result) from result.finding.error
    return result

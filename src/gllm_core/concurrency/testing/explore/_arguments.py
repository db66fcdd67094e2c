"""What an exploration cannot be asked for: each of these would be a search that looks at nothing, and finds nothing."""

from __future__ import annotations

import functools
import inspect
import sys
import warnings
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from types import ModuleType
from typing import Any, get_args

from .._arguments import refuse_number
from ._options import Fault, Strategy
from ._where import is_machinery


def refuse_scenario(scenario: object) -> None:
    """Raise TypeError, with the remedy, for what would not run when it is called."""
    inner = scenario
    while isinstance(inner, functools.partial):
        inner = inner.func
    name = getattr(inner, "__qualname__", type(inner).__qualname__)
    if not callable(scenario):
        raise TypeError(
            f"explore() needs a callable scenario, got {scenario!r}; pass the function itself, not the result of a call"
        )
    if inspect.iscoroutinefunction(inner):
        raise TypeError(f"explore() got the coroutine function {name!r}; pass a function that runs it: asyncio.run({name}())")
    if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
        raise TypeError(
            f"explore() got the generator function {name!r}, which does not run when it is called; pass a plain function"
        )


def plain(scenario: Callable[[], object]) -> Callable[[], object]:
    """*scenario*, which fails where it returns a coroutine: `lambda: main()` would never run what it is about."""

    @functools.wraps(scenario)
    def run() -> None:
        result = scenario()
        if inspect.iscoroutine(result):
            result.close()
            raise TypeError(f"the scenario returned the coroutine {result.__qualname__!r}, which nothing runs; use asyncio.run")

    return run


def names(option: str, value: object) -> tuple[str, ...]:
    """A single name, or several; *option* is what they were given as.

    Raises:
        TypeError: something else than names.
    """
    given: Any = (value,) if isinstance(value, (str, ModuleType)) else value
    try:
        found: tuple[Any, ...] = tuple(given)
    except TypeError:
        raise TypeError(f"explore() got {option}={value!r}; pass names, as in {option}=[...]") from None
    for name in found:
        if not isinstance(name, str):
            remedy = repr(name.__name__) if isinstance(name, ModuleType) else "its name"
            raise TypeError(f"explore() got {name!r} in {option}; pass {remedy}, a string")
    return found


def refuse_unknown_modules(modules: Iterable[str]) -> None:
    """Raise ValueError for a name that is no module: the schedule would change at no line of it."""
    for name in modules:
        if name not in sys.modules and not _can_be_found(name):
            raise ValueError(
                f"explore() found no module {name!r}; pass names as `import` takes them, and `__main__` for a script"
            )


def _can_be_found(name: str) -> bool:
    package = name.rpartition(".")[0]
    if package and package not in sys.modules:  # to look for *name* in it would import it, before anything is under control
        return _can_be_found(package)
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):  # what is above it is no package, or it is no name
        return False


def refuse_options(
    *,
    preemptions: object,
    strategy: object,
    faults: tuple[str, ...],
    schedules: object,
    seconds: object,
    max_steps: object,
    stall_s: object,
) -> None:
    """Raise TypeError or ValueError for a bound, a strategy or a fault that there is not."""
    if preemptions is not None and (not isinstance(preemptions, int) or isinstance(preemptions, bool)):
        raise TypeError(f"explore() got preemptions={preemptions!r}; pass how many a schedule may have, or None for any number")
    if isinstance(preemptions, int) and preemptions < 0:
        raise ValueError(f"explore() got preemptions={preemptions}; pass 0 or more, or None for any number")
    if strategy not in get_args(Strategy):
        raise ValueError(f"explore() got strategy={strategy!r}; pass one of {_listed(get_args(Strategy))}")
    for fault in faults:
        if fault not in get_args(Fault):
            raise ValueError(f"explore() got the fault {fault!r}; there are {_listed(get_args(Fault))}")
    if schedules is not None:
        refuse_number("explore()", "schedules", schedules, "how many to run at most", zero=True)
    if seconds is not None:
        refuse_number("explore()", "seconds", seconds, "after how many to stop", zero=True)
    refuse_number("explore()", "max_steps", max_steps, "how many points a schedule may have")
    refuse_number("explore()", "stall_s", stall_s, "how many seconds without a scheduling point are too many")


def warn_of_unmet(modules: Iterable[str]) -> None:
    """Warn, at the line that asked for the search, that no line of *modules* was met."""
    level, frame = 1, inspect.currentframe()
    while frame is not None and is_machinery(frame.f_code):
        level, frame = level + 1, frame.f_back
    warnings.warn(
        f"explore() met no line of modules={list(modules)!r}: the scenario does not run them, or by another name, as a script "
        "does, which is '__main__'. The schedule changed at locks, thread starts and wake-ups only",
        RuntimeWarning,
        stacklevel=level,
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))

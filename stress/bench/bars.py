"""What is wanted of the figures. A bar that is not met is `short`; that is news, not a failure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from .model import AGAIN, Result, Setting

Results = dict[tuple[str, Setting], Result]


@dataclass(frozen=True, slots=True)
class Bar:
    name: str
    workload: str
    figure: Callable[[Result], float]
    goal: float
    first: float | None = None
    """The bar of the first version, where there was one."""
    at: Literal["most", "least"] = "most"

    def met(self, value: float, bar: float) -> bool:
        return value <= bar if self.at == "most" else value >= bar


@dataclass(frozen=True, slots=True)
class Verdict:
    name: str
    value: float
    sign: str
    goal: float
    met: bool
    first: float | None
    first_met: bool | None


def _against(peer: str) -> Callable[[Result], float]:
    return lambda result: result.ratio(peer).median


def _speed_up(peer: str) -> Callable[[Result], float]:
    return lambda result: 1 / result.ratio(peer).median


def _milliseconds(result: Result) -> float:
    return result.cost(result.reference).median * 1e3


BARS = (
    Bar("syncify / run_coroutine_threadsafe", "syncify", _against("run_coroutine_threadsafe"), 0.70, 0.80),
    Bar("syncify / BlockingPortal.call", "syncify", _against("BlockingPortal.call"), 0.33, 0.40),
    Bar("syncify / floor", "syncify", _against("floor: call_soon_threadsafe + lock"), 1.5),
    Bar(
        "syncify, 8 threads, calls/s / run_coroutine_threadsafe",
        "syncify-8",
        _speed_up("run_coroutine_threadsafe"),
        1.5,
        at="least",
    ),
    Bar("asyncify / asyncio.to_thread", "asyncify", _against("asyncio.to_thread"), 0.70, 0.80),
    Bar("asyncify / anyio.to_thread.run_sync", "asyncify", _against("anyio.to_thread.run_sync"), 0.55, 0.65),
    Bar("asyncify, 200 at once / asyncio.to_thread", "asyncify-200", _against("asyncio.to_thread"), 0.90),
    Bar("asyncify, 200 at once / anyio.to_thread.run_sync", "asyncify-200", _against("anyio.to_thread.run_sync"), 0.45),
    Bar("asyncify, loop-thread CPU / anyio", "asyncify-cpu", _against("anyio.to_thread.run_sync"), 0.5),
    Bar("asyncify, 10,000 in flight / 10", "asyncify-growth", _against("asyncify, 10,000 in flight"), 1.3),
    Bar("syncify_iterator, an item / a call", "syncify-stream", _against("syncify, item by item"), 0.95),
    Bar("asyncify_iterator, an item / a call", "asyncify-stream", _against("asyncify, item by item"), 0.95),
    Bar(
        "asyncify_iterator, an item / iterate_in_threadpool",
        "asyncify-stream",
        _against("Starlette iterate_in_threadpool"),
        0.55,
    ),
    Bar("being seen in flight / a syncified call", "registry", _against("a whole syncified call"), 0.02),
    Bar("import beyond anyio, ms", "import", _milliseconds, 5.0),
)


def verdicts(results: Results) -> list[Verdict]:
    """Each bar whose workload was measured pinned; and where peers were measured free, that none of them is ahead."""
    found = []
    for bar in BARS:
        result = results.get((bar.workload, "pinned"))
        if result is not None:
            try:
                value = bar.figure(result)
            except KeyError:  # that peer is not installed
                continue
            found.append(
                Verdict(
                    bar.name,
                    value,
                    "<=" if bar.at == "most" else ">=",
                    bar.goal,
                    bar.met(value, bar.goal),
                    bar.first,
                    None if bar.first is None else bar.met(value, bar.first),
                )
            )
    free = [result for (_, setting), result in results.items() if setting == "free" and not result.growth]
    return found + [behind for behind in map(_worst, free) if behind is not None]


def _worst(result: Result) -> Verdict | None:
    ratios = {name: result.ratio(name).median for name, role in result.roles.items() if role == "peer" and AGAIN not in name}
    if not ratios:
        return None
    peer = max(ratios, key=ratios.__getitem__)
    return Verdict(f"free: {result.workload} / nearest peer ({peer})", ratios[peer], "<=", 1.0, ratios[peer] <= 1.0, None, None)


def needed(workloads: Sequence[str]) -> list[str]:
    """The workloads that the bars speak of, of those in *workloads*."""
    return [name for name in workloads if any(bar.workload == name for bar in BARS)]

"""The tables: drawn by rich in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from . import peers
from .bars import Verdict
from .model import AGAIN, Result, Spread

SETTING = {"pinned": "pinned to one core, CPU time", "free": "free, on all cores, elapsed time"}


def _cost(result: Result, name: str) -> str:
    cost = result.cost(name).median
    return f"{cost:,.0f} B" if result.unit == "bytes" else f"{cost * 1e6:,.1f} us"


def _ratio(spread: Spread) -> str:
    return f"{spread.median:.2f}"


def _rows(result: Result) -> list[tuple[str, str, str, str]]:
    rows = []
    for name in result.per_call:
        ratio = result.ratio(name)
        label = "noise: itself again" if name.endswith(AGAIN) else name
        rows.append((label, _cost(result, name), _ratio(ratio), f"{ratio.low:.2f} .. {ratio.high:.2f}"))
    return rows


def _head(result: Result) -> tuple[str, str, str, str]:
    ratio = "its / first's" if result.growth else f"{result.reference} / it"
    return ("", "per call", ratio, "middle half")


def _title(result: Result) -> str:
    rounds = len(next(iter(result.per_call.values())))
    return f"{result.workload}: {result.says} [{SETTING[result.setting]}; medians of {rounds} rounds]"


def show(result: Result) -> None:
    rich = _rich()
    if rich is None:
        print(f"\n{_title(result)}")
        for name, cost, ratio, middle in (_head(result), *_rows(result)):
            print(f"  {name:<44} {cost:>12} {ratio:>15} {middle:>16}", flush=True)
        return
    table = _table(rich, _title(result), _head(result))
    for row, role in zip(_rows(result), result.roles.values(), strict=True):
        table.add_row(*row, style={"ours": "bold", "peer": "", "floor": "dim"}[role])
    rich.get_console().print(table)


def show_verdicts(verdicts: Sequence[Verdict]) -> None:
    rich = _rich()
    head = ("bar", "value", "wanted", "", "first version")
    rows = [
        (
            verdict.name,
            f"{verdict.value:.2f}",
            f"{verdict.sign} {verdict.goal:.2f}",
            "ok" if verdict.met else "short",
            "" if verdict.first is None else f"{verdict.sign} {verdict.first:.2f} {'ok' if verdict.first_met else 'short'}",
        )
        for verdict in verdicts
    ]
    if rich is None:
        print("\nbars")
        for row in (head, *rows):
            print("  {:<70} {:>7} {:>8} {:<6} {}".format(*row).rstrip())
        return
    table = _table(rich, "bars (pinned, unless free is said)", head)
    for row in rows:
        table.add_row(*row, style="green" if row[3] == "ok" else "yellow")
    rich.get_console().print(table)


def show_smoke(verdicts: Sequence[Verdict]) -> None:
    """`name value bar ok|short`, one a line, for people and for `awk`."""
    for verdict in verdicts:
        name = verdict.name.replace(" ", "_")
        value = f"{verdict.value:.2f}" if verdict.value >= 0.1 else f"{verdict.value:.3f}"
        print(f"{name} {value} {verdict.goal:.2f} {'ok' if verdict.met else 'short'}")


def show_soak(soak: dict[str, Any]) -> None:
    print(
        f"\n{soak['calls']:,} calls in {soak['seconds']:.0f} s: memory grew by {soak['grown_bytes'] / 2**20:.1f} MiB. "
        f"{soak['at_once']:,} at once: {soak['threads_at_peak']} threads at the peak, "
        f"{soak['threads_later']} after {soak['later_s']:g} s."
    )


def show_peers(versions: dict[str, str | None]) -> None:
    print("peers: " + ", ".join(f"{name} {version}" for name, version in versions.items() if version is not None))
    missing = [name for name, version in versions.items() if version is None]
    if missing:
        print(f"NOT FOUND, not in the tables: {', '.join(missing)}; install with: pip install {' '.join(missing)}")


def _table(rich: Any, title: str, head: Sequence[str]) -> Any:
    table = peers.module("rich.table").Table(title=title, title_justify="left", title_style="bold")
    for column, name in enumerate(head):
        table.add_column(name, justify="right" if column in (1, 2, 3) else "left", no_wrap=True)
    return table


def _rich() -> Any:
    return peers.module("rich") if sys.stdout.isatty() else None

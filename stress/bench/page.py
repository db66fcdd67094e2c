"""`python -m bench.page`: writes docs/performance.md, below its mark, and its figure, from what docs/ has of both:
performance.json, the figures, and profile.json, the ladders.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import plot
from .model import AGAIN, Result
from .profile import tables
from .record import results_of

DOCS = Path(__file__).parents[2] / "docs"
MARK = "<!-- what follows is written by `make bench-page` -->"
SETTING = {"pinned": "one core, CPU time", "free": "all cores, elapsed time"}


def _table(head: list[str], rows: list[list[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|---|" + "---:|" * (len(head) - 1)
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


def _number(value: float) -> str:
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def _bars(runs: dict[str, Any]) -> Iterator[str]:
    """Each bar, Python by Python."""
    names = list(dict.fromkeys(bar["name"] for run in runs.values() for bar in run["bars"]))
    rows = []
    for name in names:
        judged = {python: bar for python, run in runs.items() for bar in run["bars"] if bar["name"] == name}
        one = next(iter(judged.values()))
        cells = [
            f"{_number(judged[p]['value'])}{'' if judged[p]['met'] else ' **short**'}" if p in judged else "" for p in runs
        ]
        rows.append([name, f"{one['sign']} {one['goal']:g}", *cells])
    yield from _table(["", "wanted", *(f"Python {python}" for python in runs)], rows)


def _noise(run: dict[str, Any]) -> str:
    again = [
        result.ratio(name)
        for result in results_of(run)
        if result.setting == "pinned"
        for name in result.per_call
        if name.endswith(AGAIN)
    ]
    off = sorted(abs(spread.median - 1) for spread in again)
    return f"half of the workloads repeat themselves within {off[len(off) // 2]:.0%}, all within {off[-1]:.0%}"


def _workload(result: Result) -> Iterator[str]:
    yield f"**{result.workload}**: {result.says} ({SETTING[result.setting]})"
    yield ""
    rows = []
    for name in result.per_call:
        cost, ratio = result.cost(name).median, result.ratio(name)
        label = "noise: itself again" if name.endswith(AGAIN) else f"*{name}*" if result.roles[name] == "floor" else name
        shown = (
            f"{cost:,.0f} B" if result.unit == "bytes" else f"{cost * 1e6:,.2f} us" if cost < 1e-6 else f"{cost * 1e6:,.1f} us"
        )
        rows.append([label, shown, _number(ratio.median), f"{_number(ratio.low)} .. {_number(ratio.high)}"])
    ratio_is = "its / the first's" if result.growth else "the first's / its"
    yield from _table(["", "each", ratio_is, "middle half"], rows)


def _soak(soak: dict[str, Any]) -> str:
    return (
        f"{soak['calls']:,} calls, half in each direction, took {soak['seconds']:.0f} s; resident memory grew by "
        f"{soak['grown_bytes'] / 2**20:.1f} MiB. With {soak['at_once']:,} calls at once under the default limiter there were "
        f"{soak['threads_at_peak']} worker threads at the peak, {soak['later_s']:g} s later {soak['threads_later'] or 'none'}."
    )


def written(runs: dict[str, Any], profile: dict[str, Any]) -> str:
    main = next((python for python in runs if runs[python]["soak"]), next(iter(runs)))
    run = runs[main]
    lines = ["", "## The bars", "", *_bars(runs)]
    for python, other in runs.items():
        lines.append(f"- Python {python}: {other['taken']}, {other['system']}, load {other['load']}; pinned, {_noise(other)}.")
    peers = ", ".join(f"{name} {version}" for name, version in run["versions"].items() if version)
    lines += ["", f"With {peers}.", ""]
    lines += tables.section(profile)
    if run["soak"]:
        lines += ["## What stays", "", _soak(run["soak"]), ""]
    lines += [f"## Every workload, on Python {main}", ""]
    for setting in SETTING:
        for result in results_of(run):
            if result.setting == setting:
                lines += _workload(result)
    return "\n".join(lines)


def main() -> int:
    runs: dict[str, Any] = json.loads((DOCS / "performance.json").read_text())
    profile: dict[str, Any] = json.loads((DOCS / "profile.json").read_text())
    page = DOCS / "performance.md"
    said, mark, _ = page.read_text().partition(MARK)
    if not mark:
        print(f"{page} has no line {MARK}", file=sys.stderr)
        return 1
    page.write_text(said + mark + "\n" + written(runs, profile).rstrip() + "\n")
    main_run = next((run for run in runs.values() if run["soak"]), next(iter(runs.values())))
    (DOCS / "performance.svg").write_text(plot.figure(results_of(main_run)))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What is kept of a run in docs/: its figures, and on what machine they were taken, how busy it was, and when."""

from __future__ import annotations

import dataclasses
import os
import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from .model import Result


def header() -> dict[str, Any]:
    return {
        "taken": datetime.now(UTC).isoformat(timespec="seconds"),
        "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "load": round(os.getloadavg()[1], 1),
    }


def figures(results: Iterable[Result]) -> list[dict[str, Any]]:
    return [_rounded(dataclasses.asdict(result)) for result in results]


def results_of(run: dict[str, Any]) -> list[Result]:
    return [Result(**found) for found in run["results"]]


def _rounded(result: dict[str, Any]) -> dict[str, Any]:
    """Four digits are more than a measurement has."""
    per_call = {name: [float(f"{cost:.4g}") for cost in costs] for name, costs in result["per_call"].items()}
    return {**result, "per_call": per_call}

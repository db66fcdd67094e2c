"""What explorations of our own code have found stays found: the scenarios that failed are exhausted again."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

STRESS = Path(__file__).parents[2] / "stress"

FOUND = {
    "delivery_against_close": "a delivery that a closed loop dropped acted twice",
    "two_loops_wait_for_one_token": "a turn that another thread gave while it was asked for ended the call",
}


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found_once_is_not_found_again(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All schedules with one preemption hold. proves: A3"""
    monkeypatch.syspath_prepend(STRESS)
    model: Any = importlib.import_module("schedules.model")
    try:
        result = model.SCENARIOS[name].explore(preemptions=1)
        assert result.exhausted, f"{FOUND[name]}: {result}"
    finally:
        for module in [module for module in sys.modules if module.partition(".")[0] == "schedules"]:
            del sys.modules[module]

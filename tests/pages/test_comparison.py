"""The table of guarantees in short: counts of what was observed, and nothing else."""

from __future__ import annotations

from typing import Any

import comparison

FOUND: dict[str, Any] = {
    "date": "2026-11-25",
    "python": "CPython 3.11.7",
    "system": "Linux",
    "versions": {"ours": "1", "a<b": "2", "none": None},
    "guarantees": [{"name": "one", "group": "G"}, {"name": "two", "group": "G"}, {"name": "three", "group": "H"}],
    "cells": [
        {"scenario": scenario, "library": library, "outcome": outcome}
        for library, outcomes in {
            "ours": ("holds", "holds", "holds"),
            "a<b": ("holds", "fails", "not offered"),
            "none": ("not offered", "not offered", "fails"),
        }.items()
        for scenario, outcome in zip(("one", "two", "three"), outcomes, strict=True)
    ],
}


def test_a_cell_counts_what_holds_of_what_is_offered() -> None:
    """What a library has nothing for is not counted against it; where it has nothing for a whole group, there is a dash."""
    rows = comparison.table(FOUND).split("<tr>")[1:]
    assert "<th>this library</th><th>a&lt;b</th><th>none</th>" in rows[0]
    assert rows[1].startswith("<th>G</th><td class=whole>2/2</td><td>1/2</td><td>-</td>")
    assert rows[2].startswith("<th>H</th><td class=whole>1/1</td><td>-</td><td>0/1</td>")


def test_it_says_when_it_was_taken() -> None:
    """The date, the interpreter and the system stand below the table."""
    assert "Taken on 2026-11-25 with CPython 3.11.7 on Linux." in comparison.table(FOUND)

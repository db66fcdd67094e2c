"""A catalogue of classic concurrency bugs: each is found, each finding replays, each correct twin is exhausted."""

from __future__ import annotations

from typing import Any

import pytest

from explore import bugs_forks, bugs_locks, bugs_loops, bugs_memory, bugs_queues
from explore.catalogue import Entry
from gllm_core.concurrency.testing.explore import Verdict, search

ENTRIES = [
    entry for module in (bugs_memory, bugs_locks, bugs_queues, bugs_loops, bugs_forks) for entry in module.catalogue.entries
]
every_entry = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name.replace(" ", "-"))
REPLAYS = 10


def _replay_options(entry: Entry) -> dict[str, Any]:
    return {key: value for key, value in entry.options.items() if key != "preemptions"}


def test_the_catalogue_has_at_least_25_bugs() -> None:
    """There are at least 25 different entries."""
    assert len({entry.name for entry in ENTRIES}) == len(ENTRIES) >= 25


@every_entry
def test_bug_is_found_and_replays(entry: Entry) -> None:
    """The bug is found within the bound, and its schedule fails in the same way 10 times out of 10."""
    result = search(entry.buggy, **entry.options)
    assert result.verdict is Verdict.FAILED, str(result)
    assert result.finding is not None
    assert result.finding.kind is entry.kind, str(result)
    assert result.finding.schedule in result.replay_line
    for _ in range(REPLAYS):
        again = search(entry.buggy, replay=result.finding.schedule, **_replay_options(entry)).finding
        assert again is not None
        assert again.signature == result.finding.signature
        assert again.schedule == result.finding.schedule


@every_entry
def test_correct_twin_is_exhausted(entry: Entry) -> None:
    """No schedule of the twin fails, and all within the bound were run."""
    result = search(entry.correct, **entry.options)
    assert result.verdict is Verdict.EXHAUSTED, str(result)


@every_entry
def test_bug_is_found_by_chance(entry: Entry) -> None:
    """Sampling by random priorities finds the bug, too."""
    options = {key: value for key, value in entry.options.items() if key != "preemptions"}
    result = search(entry.buggy, strategy="pct", schedules=5_000, **options)
    assert result.verdict is Verdict.FAILED, str(result)

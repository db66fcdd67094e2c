"""How a figure is taken: candidates interleaved, A B C A, A B C A, ..., so that a busy machine is busy for all of them.

Ratios are taken within a round and their median is quoted. The reference runs first and again last in each round: the
ratio of the two is the noise, and a difference that is not larger says nothing.
"""

from __future__ import annotations

import gc
import time

from .model import AGAIN, Candidate, Result, Setting, Workload

LEAST_ROUNDS = 2
OVERTIME = 1.5
"""Rounds stop early, once there are enough, where they take this many times the time that they were given."""


def take(workload: Workload, setting: Setting, seconds: float, rounds: int) -> Result:
    """Measure *workload* for about *seconds*, in at most *rounds* rounds."""
    with workload.open() as opened:
        reference = opened[0]
        candidates = [*opened, Candidate(reference.name + AGAIN, reference.role, reference.measure)]
        share_s = seconds / rounds / len(candidates)
        calls = {candidate.name: _calls_for(candidate, workload, share_s) for candidate in opened}
        calls[candidates[-1].name] = calls[reference.name]
        per_call: dict[str, list[float]] = {candidate.name: [] for candidate in candidates}
        gc.collect()
        gc.freeze()
        started = time.perf_counter()
        for done in range(rounds):
            if done >= LEAST_ROUNDS and time.perf_counter() - started > OVERTIME * seconds:
                break
            for candidate in candidates:
                n = calls[candidate.name]
                per_call[candidate.name].append(candidate.measure(n) / n)
    return Result(
        workload=workload.name,
        says=workload.says,
        setting=setting,
        unit=workload.unit,
        growth=workload.growth,
        per_call=per_call,
        roles={candidate.name: candidate.role for candidate in candidates},
    )


def _calls_for(candidate: Candidate, workload: Workload, share_s: float) -> int:
    """How many calls fill *share_s* seconds; finding it out is the warm-up, too."""
    n = workload.grain
    candidate.measure(n)  # imports, starts threads, fills caches: taken for the cost of a call, it would end the search here
    while True:
        started = time.perf_counter()
        candidate.measure(n)
        took_s = time.perf_counter() - started
        if not workload.grow or took_s >= share_s:
            return n
        # Short measurements are dominated by what is outside the calls: approach the goal in steps.
        wanted = n * min(8.0, 1.1 * share_s / took_s)
        n = max(n + workload.grain, int(wanted) // workload.grain * workload.grain)
        if took_s > share_s / 2:
            return n

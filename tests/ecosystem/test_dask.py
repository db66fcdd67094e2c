"""A dask.distributed cluster of two worker processes."""

from __future__ import annotations

import sys

from ecosystem.children import PROGRAMS, run

LOG = r"\d{4}-\d\d-\d\d .* - distributed\.\w+ - \w+ - "
"""Of its lines, those are let pass that say how slow the machine is."""

TASKS = "WORD; WORD gllm-default-portal; WORD gllm-default-portal BlockedLoopWarning"


def test_tasks_of_both_kinds_call_across() -> None:
    """Each worker runs ten plain tasks that call async code, ten async ones that await blocking code, and ten async ones that
    block the worker's loop, which is warned of. Nothing is left in flight, and the parent keeps its portal. proves: P5, S9.
    """
    ended = run(sys.executable, PROGRAMS / "dask_cluster.py")
    assert ended.stdout == [TASKS, TASKS, "processes: 2 left: 0", "portal kept: True"], str(ended)
    ended.expect_only_logs(f"{LOG}Event loop was unresponsive", f"{LOG}Worker process still alive")

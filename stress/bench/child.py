"""One workload in one setting, in a process of its own: `python -m bench.child '{"workload": ...}'` prints JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from . import clocks
from .model import Result, Setting, Workload
from .profile.ladders import LADDERS, PROFILE
from .rounds import take
from .workloads import WORKLOADS

GRACE_S = 120.0
"""What a child may take beyond the time that it was given to measure, in seconds."""


SOAK_S = 600.0
"""What a million calls, and the wait for threads to leave, may take, in seconds."""

PROCESSES: dict[Setting, int] = {"pinned": 1, "free": 3}
"""Free, the kernel keeps two threads on one core or on two, as it likes, for the life of a process: so several are asked."""


class ChildError(Exception):
    """The measuring process crashed or hung."""


def measured(workload: str, setting: Setting, seconds: float, rounds: int) -> Result:
    """Measure in child processes, one after another; their rounds are put together."""
    processes = PROCESSES[setting]
    parts = [_measured(workload, setting, seconds / processes, -(-rounds // processes)) for _ in range(processes)]
    names = parts[0].per_call
    return replace(parts[0], per_call={name: [figure for part in parts for figure in part.per_call[name]] for name in names})


def _measured(workload: str, setting: Setting, seconds: float, rounds: int) -> Result:
    order = json.dumps({"workload": workload, "setting": setting, "seconds": seconds, "rounds": rounds})
    try:
        done = subprocess.run(
            [sys.executable, "-m", "bench.child", order],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[1],
            timeout=10 * seconds + GRACE_S,
            check=True,
            text=True,
        )
    except subprocess.CalledProcessError as error:
        raise ChildError(f"{workload} ({setting}) ended with status {error.returncode}") from error
    except subprocess.TimeoutExpired as error:
        raise ChildError(f"{workload} ({setting}) hung: not done after {error.timeout:.0f} s") from error
    return Result(**json.loads(done.stdout))


def soaked() -> dict[str, Any]:
    """What `bench.soak` finds, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.soak"],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[1],
        timeout=SOAK_S,
        check=True,
        text=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def can_pin() -> bool:
    return hasattr(os, "sched_setaffinity")


def _pin() -> None:
    """Let this process, and all its threads to come, run on one core: the first that it may use."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def _named(workload: str) -> Workload:
    """One of the benchmark's, or a ladder of the profile: which has a name in front."""
    ladder = LADDERS.get(workload.removeprefix(PROFILE)) if workload.startswith(PROFILE) else None
    return WORKLOADS[workload] if ladder is None else ladder.workload


def main() -> None:
    order = json.loads(sys.argv[1])
    if order["setting"] == "pinned":
        _pin()
    clocks.choose(order["setting"])
    result = take(_named(order["workload"]), order["setting"], order["seconds"], order["rounds"])
    print(json.dumps(asdict(result)))


if __name__ == "__main__":
    main()

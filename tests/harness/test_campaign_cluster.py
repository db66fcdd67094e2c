"""A campaign on a cluster of two worker processes, one of which is killed on the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

STRESS = Path(__file__).parents[2] / "stress"
SCENARIOS = ["wake_up_that_fails", "snapshot_of_calls_in_flight"]
LIMIT_S = 240.0

MORTAL = f"import runpy, signal; signal.alarm({LIMIT_S:.0f})"
"""What such a process begins with, so that it does not outlive a test run that was killed."""


def until(what: str, found: Callable[[], Any]) -> Any:
    """Wait until *found* finds something, and return it."""
    deadline = time.monotonic() + LIMIT_S / 2
    while time.monotonic() < deadline:
        if thing := found():
            return thing
        time.sleep(0.01)
    raise AssertionError(f"{what}: not within {LIMIT_S / 2:g} s")


def children(process: subprocess.Popen[bytes]) -> bool:
    """Whether it has any; of which thread they are does not matter."""
    return any(file.read_text().strip() for file in Path("/proc", str(process.pid), "task").glob("*/children"))


class Cluster:
    """A scheduler and two workers, each a process of its own that nobody replaces."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._stack = stack
        self._folder = folder
        file = folder / "scheduler.json"
        self._start("dask_scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", str(file))
        # It may be there, and not be written yet.
        self.address: str = until("the scheduler", lambda: file.exists() and file.read_text().endswith("}") and _address(file))
        options = ("--no-nanny", "--no-dashboard", "--nthreads", "1")
        self.workers = [self._start("dask_worker", self.address, *options) for _ in range(2)]

    def _start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        log = self._stack.enter_context((self._folder / f"{name}.log").open("a"))
        program = f"{MORTAL}; runpy.run_module('distributed.cli.{name}', run_name='__main__', alter_sys=True)"
        command = [sys.executable, "-c", program, *arguments]
        process = subprocess.Popen(command, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._stack.callback(process.wait, 20)
        self._stack.callback(process.kill)
        return process


def _address(file: Path) -> str:
    address: str = json.loads(file.read_text())["address"]
    return address


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with ExitStack() as stack:
        yield Cluster(tmp_path, stack)


def command(file: Path, *where: str) -> list[str]:
    return [sys.executable, "-m", "schedules", *SCENARIOS, "--preemptions", "1", "--json", str(file), *where]


def totals(file: Path) -> list[tuple[str, str, str, int, int]]:
    keys = ("scenario", "verdict", "bound", "schedules", "points")
    return [tuple(explored[key] for key in keys) for explored in json.loads(file.read_text())["explorations"]]


@pytest.mark.timeout(LIMIT_S)
def test_cluster(cluster: Cluster, tmp_path: Path) -> None:
    """The shards of a worker that is killed are run again: one core, two processes, and what is left of a cluster agree."""
    alone, two, clustered = (tmp_path / f"{name}.json" for name in ("alone", "two", "clustered"))
    for file, jobs in ((alone, "1"), (two, "2")):
        subprocess.run(command(file, "--jobs", jobs), cwd=STRESS, check=True, capture_output=True, timeout=LIMIT_S / 2)
    ran = subprocess.Popen(
        command(clustered, "--scheduler", cluster.address),
        cwd=STRESS,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    victim, survivor = cluster.workers
    try:
        # Both are in the middle of a shard, which is a child process of theirs.
        until("a shard on each worker", lambda: ran.poll() is not None or (children(survivor) and children(victim)))
        assert ran.poll() is None, ran.communicate()[0]
        victim.kill()
        said, _ = ran.communicate(timeout=LIMIT_S / 2)
    finally:
        ran.kill()
        ran.wait()
    assert ran.returncode == 0, said
    assert "2 workers of the cluster" in said
    assert totals(alone) == totals(two) == totals(clustered)
    assert [verdict for _, verdict, *_ in totals(alone)] == ["EXHAUSTED"] * len(SCENARIOS)
    report = json.loads(clustered.read_text())
    assert any(worker.endswith(f":{survivor.pid}") for worker in report["workers"])
    assert sum(report["workers"].values()) == sum(explored["shards"] for explored in report["explorations"])


@pytest.mark.timeout(LIMIT_S)
def test_stress_on_a_cluster(cluster: Cluster, tmp_path: Path) -> None:
    """Rounds of the stress suite are the same rounds on a cluster."""
    told: list[Any] = []
    for name, where in (("alone", ("--jobs", "1")), ("clustered", ("--scheduler", cluster.address))):
        file = tmp_path / f"{name}.json"
        stress = [sys.executable, "-m", "gllm_core.concurrency.testing", "--rounds", "25", "--seed", "1"]
        asked = [*stress, "--scenario", "first-use", "--json", str(file), *where]
        subprocess.run(asked, check=True, capture_output=True, timeout=LIMIT_S / 2)
        told += [
            [tally[key] for key in ("rounds", "operations", "shards")] for tally in json.loads(file.read_text())["scenarios"]
        ]
    assert told[0] == told[1]
    assert told[0][0] == 25

"""A campaign counts the same however many processes share it, and whichever of them are lost on the way."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from explore.brute_force import count
from gllm_core.concurrency.testing._farm import LostError, processes
from gllm_core.concurrency.testing.explore import Verdict, search
from gllm_core.concurrency.testing.explore._campaign import Campaign, Explored
from gllm_core.concurrency.testing.explore._shard import Exploration, Shard, ShardResult, run_shard
from harness import campaign_scenarios as scenarios
from subprocess_tools import run_program


def explore(
    *explorations: Exploration, jobs: int, work: Callable[[Shard], ShardResult] = run_shard, limit_s: float = 20.0
) -> tuple[Campaign, list[Explored]]:
    campaign = Campaign(explorations, limit_s=limit_s, work=work)
    with processes(jobs) as workers:
        return campaign, campaign.run(workers, lambda _: None)


@pytest.mark.parametrize("jobs", [1, 2])
def test_same_totals(jobs: int) -> None:
    """Many shards run the schedules that one core runs, which is the number of a count without threads."""
    alone = search(scenarios.sound, preemptions=2, modules=["explore.one_line"])
    campaign, (explored,) = explore(scenarios.exploration("sound"), jobs=jobs, work=scenarios.small)
    assert alone.verdict is Verdict.EXHAUSTED
    assert explored.shards > 2
    assert sum(campaign.workers.values()) == explored.shards
    assert explored.schedules == alone.schedules == count(scenarios.PROGRAMS, 2)
    assert explored.steps == alone.steps
    assert (explored.verdict, explored.bound) == ("EXHAUSTED", "<=2")


def test_same_samples() -> None:
    """A sample is as large as was asked for, and takes the same schedules on one process and on two."""
    every = [explore(scenarios.exploration("sound", None, sampled=600), jobs=jobs)[1][0] for jobs in (1, 2)]
    assert [explored.verdict for explored in every] == ["SAMPLED"] * 2
    assert [explored.schedules for explored in every] == [600] * 2
    assert every[0].steps == every[1].steps


def test_lost_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is killed costs its shard another run, and changes no total."""
    monkeypatch.setenv(scenarios.MARKER, str(tmp_path / "killed"))
    monkeypatch.setattr("gllm_core.concurrency.testing.explore._campaign.FIRST_S", 0.05)
    campaign, (explored,) = explore(scenarios.exploration("sound"), jobs=2, work=scenarios.loses_its_worker_once)
    assert (tmp_path / "killed").exists()
    assert campaign.lost >= 1
    assert explored.schedules == count(scenarios.PROGRAMS, 2)
    assert explored.verdict == "EXHAUSTED"


def test_worker_lost_in_the_middle_of_a_result() -> None:
    """What a killed worker has begun to say is not waited for: a long result is not said through the pool's pipe."""
    campaign, (explored,) = explore(scenarios.exploration("sound"), jobs=2, work=scenarios.has_a_long_result)
    assert campaign.lost == 0
    assert explored.schedules == count(scenarios.PROGRAMS, 2)


def test_worker_lost_again_and_again() -> None:
    """A shard that ends each worker that takes it up ends the campaign, with the reason."""
    with pytest.raises(LostError, match="lost with its worker 5 times"):
        explore(scenarios.exploration("sound"), jobs=1, work=scenarios.always_loses_its_worker)


def test_workers_of_a_campaign_that_is_killed() -> None:
    """They end with it. Were they to go on, they would hold its output open, and this would not end."""
    ran = run_program("""
import os, signal
from gllm_core.concurrency.testing._farm import processes
if __name__ == "__main__":
    with processes(2) as workers:
        print(workers.open().submit(os.getpid).result(60) != os.getpid(), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
""")
    assert (ran.lines, ran.status) == (["True"], -signal.SIGKILL), ran


def test_finding() -> None:
    """A finding ends its own scenario only, and its schedule is the same finding when it is replayed."""
    campaign, (lost_update, sound) = explore(
        scenarios.exploration("lost_update"), scenarios.exploration("sound", 1), jobs=2, limit_s=20
    )
    assert not campaign.lost
    assert sound.verdict == "EXHAUSTED"
    assert lost_update.verdict == "FAILED"
    assert lost_update.finding is not None
    replayed = run_shard(Shard(0, scenarios.exploration("lost_update"), replay=lost_update.finding.schedule))
    assert replayed.finding is not None
    assert replayed.finding.message == lost_update.finding.message


def test_hang() -> None:
    """A schedule that blocks for good ends with all stacks, and does not keep the others from their verdict."""
    _, (hung, sound) = explore(
        scenarios.exploration("waits_for_something_real"), scenarios.exploration("sound", 0), jobs=2, limit_s=1.0
    )
    assert hung.verdict == "HUNG"
    assert hung.hang is not None
    assert "no end after 1 s" in hung.hang
    assert "select.select([read], [], [])" in hung.hang
    assert sound.verdict == "EXHAUSTED"


def test_crash() -> None:
    """An interpreter that dies in a schedule is a failure of that scenario, not of the worker."""
    campaign, (died,) = explore(scenarios.exploration("dies"), jobs=1)
    assert died.verdict == "FAILED"
    assert died.died is not None
    assert "status -9" in died.died
    assert not campaign.lost


def test_budget() -> None:
    """What the time cuts off is never called exhausted."""
    campaign = Campaign([scenarios.exploration("sound", None)], seconds=0.0, work=scenarios.small)
    with processes(1) as workers:
        (explored,) = campaign.run(workers, lambda _: None)
    assert explored.verdict == "BUDGET"
    assert 0 < explored.schedules < count(scenarios.PROGRAMS, None)

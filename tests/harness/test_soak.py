"""The soak says of each bar what was measured, and falls short on a library that is broken or that grows."""

from __future__ import annotations

import json
import re
from pathlib import Path

from gllm_core.concurrency.testing._stress.bars import Bar, Soak, parts, table
from gllm_core.concurrency.testing._stress.campaign import Tally
from gllm_core.concurrency.testing._stress.memory import WARM_UP_ROUNDS, Memory, in_use
from gllm_core.concurrency.testing._stress.shard import Shard, run_shard
from harness.test_stress import broken_copy, run_stress


def test_bars(tmp_path: Path) -> None:
    """A small share of the soak runs every part until there is enough of it, and says so in a table and as JSON."""
    file = tmp_path / "report.json"
    ran = run_stress("--bars", "0.0005", "--seed", "3", "--json", str(file))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    told = json.loads(file.read_text())
    assert all(bar["ok"] for bar in told["bars"])
    values = {bar["name"]: bar["value"] for bar in told["bars"]}
    assert values["calls"] >= 500
    assert values["cycles"] >= 25
    assert values["forks"] >= 1
    assert values["exits"] >= 1
    assert values["interrupts and cancellations"] >= 4
    rows = re.findall(r"^(.+?)  +[\d,.]+.*  (ok|short)$", ran.stdout, re.MULTILINE)
    assert rows == [(name, "ok") for name in values]


def test_doubled_calls(tmp_path: Path) -> None:
    """On a copy that runs each coroutine twice, that bar is short, the status is 1, and the command finds it again."""
    folder = broken_copy(
        tmp_path,
        "            call.value = await result\n",
        "            call.value = await result\n            await call.func(*call.args, **call.kwargs)\n",
        "_dispatch.py",
    )
    ran = run_stress("--rounds", "1", "--seed", "1", "--scenario", "many-calls", folder=folder)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert re.search(r"violation: call \d+ ran 2 times", ran.stdout)
    assert "--scenario many-calls --round 0" in ran.stdout


def test_short() -> None:
    """A bar is short where there was too little, or too much of what should not be."""
    assert not Bar("calls", 999_999, 1_000_000, at_most=False).ok
    assert not Bar("leaks", 1, 0, at_most=True).ok
    rows = table([Bar("calls", 1_000_000, 1_000_000, at_most=False), Bar("memory", 5.1, 5, at_most=True, unit=" MiB")])
    assert [line.split()[-1] for line in rows.splitlines()[1:]] == ["ok", "short"]
    assert rows.splitlines()[2].split() == ["memory", "5.1", "MiB", "<=", "5", "MiB", "short"]


def test_what_is_asked_for() -> None:
    """The whole soak asks for what the bars say."""
    assert {part.what: part.enough for part in parts()} == {
        "calls": 1_000_000,
        "cycles": 50_000,
        "forks": 500,
        "exits": 200,
        "interrupts": 5_000,
        "cancellations": 5_000,
    }
    calls = parts()[0]
    assert calls.rounds * calls.of_a_round >= calls.enough  # all in one process


def test_nothing_was_run() -> None:
    """A soak that has done nothing has reached no bar."""
    counts = [bar for bar in Soak(1, 60.0).bars() if not bar.at_most]
    assert len(counts) == 5
    assert not any(bar.ok for bar in counts)


def test_memory_that_grows() -> None:
    """Memory that is taken after the first rounds shows in the next one, and stays the highest when it is given back."""
    memory = Memory()
    for done in range(1, WARM_UP_ROUNDS + 1):
        memory.after_round(done)
    before = in_use()
    taken = b"x" * (64 * 2**20)
    memory.after_round(WARM_UP_ROUNDS + 1)
    assert before > 0
    assert len(taken) * 0.9 < memory.highest
    assert memory.grown() > len(taken) * 0.9
    highest = memory.highest
    del taken
    memory.after_round(WARM_UP_ROUNDS + 2)
    assert memory.highest == highest


def test_counted_rounds(tmp_path: Path) -> None:
    """The same rounds are run by one process and by two, and a shard of so many rounds ends after them."""
    told = []
    for jobs in ("1", "2"):
        file = tmp_path / f"{jobs}.json"
        asked = ("--rounds", "25", "--seed", "1", "--scenario", "first-use", "--jobs", jobs, "--json", str(file))
        ran = run_stress(*asked)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        (scenario,) = json.loads(file.read_text())["scenarios"]
        assert scenario["shards"] == 2
        told.append((scenario["rounds"], scenario["operations"], scenario["violations"]))
    assert told[0] == told[1]
    assert told[0][0] == 25


def test_progress(tmp_path: Path) -> None:
    """A shard that takes long tells meanwhile how far it is."""
    file = tmp_path / "progress.json"
    result = run_shard(Shard("many-calls", 1, 0, seconds=30.0, limit_s=20.0, rounds=5, progress=str(file)))
    assert not result.bad
    assert result.operations == 50_000
    tally = Tally("many-calls", "")
    tally.add(result)
    assert tally.operations == 50_000
    if result.seconds > 5.0:  # once a second, after a round
        rounds, operations, _ = json.loads(file.read_text())
        assert operations == rounds * 10_000

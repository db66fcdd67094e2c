"""The command line of the stress engine: silent on a sound library, loud, with the command to repeat it, on a broken one."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import gllm_core.concurrency
from gllm_core.concurrency.testing._stress.catalogue import SCENARIOS

LIBRARY = Path(gllm_core.concurrency.__file__).parent
LIMIT_S = 200


def run_stress(*arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command, on the copy of the library in *folder* if one is given."""
    return run_command([sys.executable, "-m", "gllm_core.concurrency.testing", *arguments], folder)


def run_command(command: list[str], folder: Path | None) -> subprocess.CompletedProcess[str]:
    environment = os.environ if folder is None else {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False)


def broken_copy(folder: Path, old: str, new: str, room: str) -> Path:
    """A copy of the library in which one thing is wrong."""
    copy = folder / "gllm_core" / "concurrency"
    shutil.copytree(LIBRARY, copy, ignore=shutil.ignore_patterns("__pycache__"))
    file = copy / room
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))
    return folder


@pytest.mark.parametrize("name", ["storms", "nesting", "interrupts", "sweep"])
def test_sound_library(name: str, tmp_path: Path) -> None:
    """On the library as it is, a scenario finds nothing, says so in a table, and writes it down for a machine."""
    file = tmp_path / "report.json"
    ran = run_stress("--seconds", "1", "--seed", "1", "--scenario", name, "--json", str(file), "--limit", "40")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "nothing found" in ran.stdout
    (scenario,) = json.loads(file.read_text())["scenarios"]
    assert scenario["name"] == name
    assert scenario["rounds"] > 0
    assert scenario["operations"] > 0
    assert not scenario["violations"]


def test_a_sweep_ends() -> None:
    """Each interrupted call leaves nothing behind that makes the next one longer, or the sweep would never be over.

    This round stops the portal before each call.
    """
    ran = run_stress("--seed", "1", "--scenario", "sweep", "--round", "8", "--limit", "40", "--seconds", "1")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"^faults: [1-9][\d,]* interrupt$", ran.stdout, re.MULTILINE), ran.stdout


def test_broken_library(tmp_path: Path) -> None:
    """A sabotaged copy ends it with status 1, the history, and a command that finds the same again."""
    one_for_all = "return _turnstiles.setdefault(id(limiter), Turnstile(limiter))"
    folder = broken_copy(tmp_path, one_for_all, "return Turnstile(limiter)", "_turnstile.py")
    ran = run_stress("--seconds", "8", "--seed", "1", "--scenario", "saturation", "--limit", "10", folder=folder)
    assert ran.returncode in (1, 3), ran.stdout + ran.stderr
    found = re.search(r"to run it again, until it fails:\n +(.*)\n", ran.stdout)
    assert found is not None, ran.stdout
    again = run_command([*shlex.split(found[1]), "--seconds", "8"], folder)
    assert again.returncode in (1, 3), again.stdout + again.stderr


def test_leaked_token(tmp_path: Path) -> None:
    """A copy that loses tokens ends it with status 1 or, where calls wait for them, 3, and all stacks."""
    folder = broken_copy(
        tmp_path,
        "            self._released = True\n            self.release(loop)\n",
        "            self._released = True\n",
        "_threadcall.py",
    )
    ran = run_stress("--seconds", "2", "--seed", "1", "--scenario", "saturation", "--limit", "4", folder=folder)
    assert ran.returncode in (1, 3), ran.stdout + ran.stderr
    if ran.returncode == 3:
        assert "hang: no end after 4 s" in ran.stdout
        assert "thread 'MainThread'" in ran.stdout
        assert "task '" in ran.stdout


def test_list() -> None:
    """`--list` names each scenario and says what it does."""
    ran = run_stress("--list")
    assert [line.split()[0] for line in ran.stdout.splitlines()] == list(SCENARIOS)
    assert ran.returncode == 0


def test_a_round_needs_its_seed() -> None:
    """One round alone cannot be run again without seed and scenario."""
    ran = run_stress("--round", "3")
    assert ran.returncode == 2
    assert "--round needs --seed and one --scenario" in ran.stderr


def test_arguments_of_no_use(tmp_path: Path) -> None:
    """What cannot be done is refused before the run, in one sentence with the remedy; nothing is asked for in silence."""
    beside = tmp_path / "nowhere" / "report.json"
    for arguments, says in (
        (("--json", str(beside)), f"--json: there is no folder {str(beside.parent)!r}; make it first"),
        (("--json", str(tmp_path)), f"--json: {str(tmp_path)!r} is a folder; name a file in it"),
        (("--round", "-1", "--seed", "1", "--scenario", "nesting"), "--round must be 0 or more"),
        (("--bars", "0.1", "--scenario", "nesting"), "--bars has scenarios and rounds of its own; leave --scenario"),
    ):
        ran = run_stress(*arguments)
        assert ran.returncode == 2, ran.stdout
        assert says in ran.stderr, ran.stderr
        assert "Traceback" not in ran.stderr, ran.stderr
        assert not ran.stdout


def test_a_report_that_cannot_be_written() -> None:
    """The table is shown all the same; the exit status says that the file is not there."""
    ran = run_stress("--rounds", "1", "--seed", "1", "--scenario", "nesting", "--json", "/dev/full")
    assert ran.returncode == 2, ran.stdout + ran.stderr
    assert "--json: nothing was written: " in ran.stderr, ran.stderr
    assert "Traceback" not in ran.stderr, ran.stderr
    assert ran.stdout.endswith("nothing found\n"), ran.stdout


def test_no_cluster_at_the_address() -> None:
    """An address that is none, or at which nobody answers, is said in one sentence, not in a traceback of ours."""
    pytest.importorskip("distributed")
    ran = run_stress("--scheduler", "nonsense")
    assert ran.returncode == 2, ran.stdout + ran.stderr
    assert "no cluster at 'nonsense': missing port number in address 'nonsense'; start its scheduler" in ran.stderr, ran.stderr
    assert "_cli.py" not in ran.stderr, ran.stderr


@pytest.mark.parametrize("option", ["--seconds", "--limit", "--slice", "--rounds", "--bars", "--jobs"])
@pytest.mark.parametrize("value", ["0", "-1"])
def test_a_quantity_is_more_than_nothing(option: str, value: str) -> None:
    """No time, no rounds or no processes: that would find nothing, and is refused."""
    ran = run_stress(option, value)
    assert ran.returncode == 2
    assert f"{option} must be more than 0" in ran.stderr


@pytest.mark.parametrize("arguments", [("--list",), ("--seed", "1")])
def test_output_that_nobody_reads(arguments: tuple[str, ...]) -> None:
    """As below `| head`: when the output's reader is gone, the command ends, and says nothing."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as output:
        ran = subprocess.run(
            [sys.executable, "-m", "gllm_core.concurrency.testing", *arguments],
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    assert (ran.returncode, ran.stderr) == (141, "")


INTERRUPTIBLE = """
import signal, sys
from gllm_core.concurrency.testing._cli import main

signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
sys.exit(main())
"""


def test_ctrl_c_shows_what_is_done() -> None:
    """Ctrl-C ends it with the table of what was over by then, and with status 130."""
    arguments = ["--seconds", "3600", "--slice", "0.5", "--scenario", "nesting", "--jobs", "1"]
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert any(re.search(r" s of 3600 s: [1-9]", line) for line in process.stdout)
            process.send_signal(signal.SIGINT)
            told, errors = process.communicate(timeout=LIMIT_S)
        finally:
            process.kill()
    assert process.returncode == 130, told + errors
    assert re.search(r"^nesting +[1-9]", told, re.MULTILINE), told
    assert told.splitlines()[-1] == "stopped by Ctrl-C; what was still under way is not counted"

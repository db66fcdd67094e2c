"""From an empty folder, with nothing but the built wheel and AnyIO installed: what a user's own machine would show."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
PATCHES = ROOT / "tests" / "sabotage"
NEEDED = ("anyio", "idna", "typing_extensions")
"""What the wheel brings with it, and nothing else: no pytest, no rich, no trio."""

LIMIT_S = 150


class Installed:
    """An environment that has the wheel, and an empty folder to run from."""

    def __init__(self, folder: Path) -> None:
        build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder / "dist"), str(ROOT)]
        subprocess.run(build, check=True, capture_output=True, timeout=LIMIT_S)
        venv.create(folder / "venv", with_pip=False, symlinks=True)
        self.python = folder / "venv" / "bin" / "python"
        (self.packages,) = (folder / "venv").glob("lib/python3*/site-packages")
        (wheel,) = (folder / "dist").glob("*.whl")
        ZipFile(wheel).extractall(self.packages)
        for name in NEEDED:
            for file in metadata.files(name) or []:
                if ".." not in file.parts and "__pycache__" not in file.parts:
                    (self.packages / file).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(file.locate(), self.packages / file)
        self.folder = folder / "empty"
        self.folder.mkdir()

    def run(self, *command: str, shell: bool = False) -> subprocess.CompletedProcess[str]:
        variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COVERAGE", "COV_"))}
        return subprocess.run(
            command[0] if shell else command,
            shell=shell,
            cwd=self.folder,
            env={**variables, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )

    def stress(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run(str(self.python), "-m", "gllm_core.concurrency.testing", *arguments)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("installed"))


@pytest.mark.timeout(2 * LIMIT_S)
def test_nothing_else_is_installed(installed: Installed) -> None:
    """The harness needs the library's one dependency only; the library is the wheel's."""
    shown = installed.run(str(installed.python), "-c", "import gllm_core.concurrency.testing as t; print(t.__file__)")
    assert shown.stdout.startswith(str(installed.packages)), shown.stderr
    for name in ("pytest", "rich", "trio", "distributed"):
        assert installed.run(str(installed.python), "-c", f"import {name}").returncode == 1


@pytest.mark.timeout(2 * LIMIT_S)
def test_sound(installed: Installed) -> None:
    """Plain lines while it runs, a table at the end, JSON on demand, status 0."""
    ran = installed.stress(
        "--seconds", "7", "--seed", "1", "--scenario", "storms", "--scenario", "exits", "--json", "told.json"
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"^ +\d+ s of 7 s: \d[\d,]* rounds, ", ran.stdout, re.MULTILINE)
    assert re.search(r"^scenario +rounds +operations ", ran.stdout, re.MULTILINE)
    assert ran.stdout.endswith("nothing found\n")
    told = json.loads((installed.folder / "told.json").read_text())
    assert [scenario["name"] for scenario in told["scenarios"]] == ["storms", "exits"]
    assert all(scenario["rounds"] for scenario in told["scenarios"])
    assert told["status"] == 0
    (installed.folder / "told.json").unlink()
    assert not list(installed.folder.iterdir())


@pytest.mark.timeout(2 * LIMIT_S)
def test_a_cluster_needs_its_extra(installed: Installed) -> None:
    """`--scheduler` without dask.distributed names what is to be installed."""
    ran = installed.stress("--scheduler", "tcp://127.0.0.1:1")
    assert ran.returncode == 2
    assert ran.stderr == "a dask.distributed cluster needs its client: pip install 'gllm-core-concurrency[campaign]'\n"


SABOTAGE = {
    "a05-swallows-a-native-cancellation": ("storms", 1, "violation: "),
    "a13-nothing-is-lent": ("nesting", 3, "hang: no end after "),
}
"""A patch, the scenario that notices, the exit status, and what is told."""


@pytest.mark.timeout(3 * LIMIT_S)
@pytest.mark.parametrize("name", SABOTAGE)
def test_broken_build(installed: Installed, name: str) -> None:
    """A sabotaged build ends with status 1, or 3 for a hang, and prints a command that shows the same again."""
    scenario, status, told = SABOTAGE[name]
    copy = installed.packages / "gllm_core"
    sound = copy.with_name("sound")
    shutil.copytree(copy, sound)
    try:
        apply = ["git", "apply", "--unsafe-paths", "-p2", "--directory", str(installed.packages)]
        subprocess.run([*apply, str(PATCHES / f"{name}.patch")], cwd=installed.packages, check=True, capture_output=True)
        ran = installed.stress("--seconds", "15", "--seed", "1", "--scenario", scenario, "--limit", "5")
        assert ran.returncode == status, ran.stdout + ran.stderr
        assert told in ran.stdout
        again = re.search(r"to run it again, until it fails:\n +(.*)\n", ran.stdout)
        assert again is not None, ran.stdout
        reproduced = installed.run(again[1], shell=True)
        assert reproduced.returncode == status, reproduced.stdout + reproduced.stderr
        assert told in reproduced.stdout
    finally:
        shutil.rmtree(copy)
        sound.rename(copy)

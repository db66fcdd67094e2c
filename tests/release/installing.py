"""Installing the wheel into environments in which there is nothing, and using it there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from .building import DifferenceError

LIMIT_S = 180

ASK = """
import json
from importlib import metadata
print(json.dumps({d.metadata["Name"].lower().replace("_", "-"): d.version for d in metadata.distributions()}))
"""

NEEDED = """
import json, re
from importlib import metadata
found, ask = set(), ["anyio"]
while ask:
    name = ask.pop().lower().replace("_", "-")
    if name in found:
        continue
    try:
        requires = metadata.requires(name) or []
    except metadata.PackageNotFoundError:  # not needed on this Python
        continue
    found.add(name)
    ask += [re.match("[A-Za-z0-9._-]+", one)[0] for one in requires if "extra ==" not in one]
print(json.dumps(sorted(found)))
"""

USE = """
import anyio
from gllm_core.concurrency import asyncify, syncify
import gllm_core
async def nine():
    return await asyncify(len)("nine years")
print(syncify(nine)() - 1, anyio.run(asyncify(syncify(nine))) - 1, hasattr(gllm_core, "__file__") and gllm_core.__file__)
"""


class Environment(NamedTuple):
    """A virtual environment, and the constraints under which pip installs into it."""

    folder: Path
    constraints: Path

    @property
    def python(self) -> str:
        return str(self.folder / "bin" / "python")


def empty_environment(folder: Path, constraints: Path) -> Environment:
    _run([sys.executable, "-m", "venv", str(folder)])
    return Environment(folder, constraints)


def install(environment: Environment, what: Path, extra: str = "") -> dict[str, str]:
    """What the installation brought: each distribution and its version."""
    before = installed(environment)
    _run([environment.python, "-m", "pip", "install", "-q", "-c", str(environment.constraints), f"{what}{extra}"])
    return {name: version for name, version in installed(environment).items() if name not in before}


def installed(environment: Environment) -> dict[str, str]:
    found: dict[str, str] = _asked(environment, ASK)
    return found


def check(environment: Environment, brought: dict[str, str]) -> None:
    _run([environment.python, "-m", "pip", "check"])
    wanted = {"gllm-core-concurrency", *_asked(environment, NEEDED)}
    if set(brought) != wanted or "anyio" not in brought:
        raise DifferenceError(f"the installation brought {sorted(brought)}, and should bring {sorted(wanted)}")
    used = _run([environment.python, "-I", "-X", "dev", "-W", "error", "-c", USE])
    if used.stdout.split() != ["9", "9", "None"] or used.stderr:
        raise DifferenceError(f"used in an empty environment it said {used.stdout!r} and {used.stderr!r}")


def check_extra(folder: Path, constraints: Path, wheel: Path) -> None:
    """The extra brings what it should, and the stress suite starts with it."""
    environment = empty_environment(folder, constraints)
    brought = install(environment, wheel, "[testing]")
    if not {"gllm-core-concurrency", "anyio", "rich"} <= set(brought):
        raise DifferenceError(f"the extra brought {sorted(brought)}")
    _run([environment.python, "-I", "-m", "gllm_core.concurrency.testing", "--seconds", "1", "--scenario", "first-use"])


def _asked(environment: Environment, program: str) -> Any:
    return json.loads(_run([environment.python, "-I", "-c", program]).stdout)


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    return done

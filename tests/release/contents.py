"""What is in the archives."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from .building import Built, DifferenceError

LIMIT_S = 120
OF_THE_WHEEL = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}


def check(src: Path, built: Built) -> None:
    _run("twine", "check", "--strict", str(built.wheel), str(built.sdist))
    _run("check_wheel_contents", str(built.wheel))
    check_archives(src, built)


def check_archives(src: Path, built: Built) -> None:
    wanted = _package(src)
    with zipfile.ZipFile(built.wheel) as wheel:
        names = {name for name in wheel.namelist() if not name.endswith("/")}
    metadata = {name for name in names if name.split("/")[0].endswith(".dist-info")}
    _check_namespace(names)
    _must_be_same("the wheel's package", names - metadata, wanted)
    _must_be_same("the wheel's metadata", {name.split("/", 1)[1] for name in metadata}, OF_THE_WHEEL)
    with tarfile.open(built.sdist) as sdist:
        inside = {member.name.split("/", 1)[1] for member in sdist.getmembers() if member.isfile()}
    missing = {f"src/{name}" for name in wanted} | {"README.md", "LICENSE", "CHANGELOG.md", "pyproject.toml", "PKG-INFO"}
    _must_be_same("what the sdist lacks", missing - inside, set())
    strange = {name for name in inside if not name.startswith(("src/", "tests/")) and name not in missing | {".gitignore"}}
    _must_be_same("what the sdist should not have", strange, set())


def _check_namespace(names: set[str]) -> None:
    """`gllm_core` belongs to nobody: a file in it would hide what other distributions put there."""
    at_the_top = {name for name in names if name.startswith("gllm_core/") and name.count("/") == 1}
    _must_be_same("files in the namespace itself", at_the_top, set())
    if "gllm_core/concurrency/py.typed" not in names:
        raise DifferenceError("gllm_core/concurrency/py.typed is missing: type checkers would ignore the annotations")


def _package(src: Path) -> set[str]:
    files = (path for path in src.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(src).as_posix() for path in files if ".egg-info" not in path.as_posix()}


def _run(module: str, *arguments: str) -> None:
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    if done.returncode:
        raise SystemExit(f"{module} is not content:\n{done.stdout}\n{done.stderr}")


def _must_be_same(what: str, found: set[str], wanted: set[str]) -> None:
    if found != wanted:
        raise DifferenceError(f"{what}: too much {sorted(found - wanted)}, too little {sorted(wanted - found)}")

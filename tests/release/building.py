"""Building: from copies of the sources in two places, under two umasks and time zones, to the same bytes."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import NamedTuple

LIMIT_S = 120
SOURCES = ("src", "tests", "README.md", "LICENSE", "CHANGELOG.md", "pyproject.toml", ".gitignore")
EPOCH = "1767225600"
"""The time that the archives' entries carry where there is no history to ask: the first of January 2026."""


class Built(NamedTuple):
    """What is in dist/."""

    wheel: Path
    sdist: Path


class DifferenceError(Exception):
    """Two builds, or a build and what it should be, are not the same."""


def build_twice(root: Path, folder: Path, target: Path) -> Built:
    epoch = _epoch(root)
    places = [("one", 0o022, "UTC"), ("another/and/deeper", 0o077, "Pacific/Auckland")]
    outcomes = []
    for place, mask, zone in places:
        copy = folder / place
        _copy(root, copy)
        outcomes.append(
            _build(copy, folder / "out" / place, ["--sdist", "--wheel"], mask, {"SOURCE_DATE_EPOCH": epoch, "TZ": zone})
        )
    for first, second in zip(*outcomes, strict=True):
        must_be_same(first, second)
    wheel, sdist = (Path(shutil.copy(path, target)) for path in sorted(outcomes[0], key=lambda path: path.suffix, reverse=True))
    return Built(wheel, sdist)


def check_same_from_sdist(built: Built, folder: Path) -> None:
    unpacked = folder / "unpacked"
    with tarfile.open(built.sdist) as archive:
        archive.extractall(unpacked, filter="data")
        newest = max(member.mtime for member in archive.getmembers())
    (source,) = unpacked.iterdir()
    (wheel,) = _build(source, folder / "from-sdist", ["--wheel"], 0o022, {"SOURCE_DATE_EPOCH": str(int(newest))})
    must_be_same(built.wheel, wheel)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _copy(root: Path, place: Path) -> None:
    """Fresh times of modification; without what tests and tools left behind."""
    place.mkdir(parents=True)
    for name in SOURCES:
        source = root / name
        if source.is_dir():
            skip = shutil.ignore_patterns("__pycache__", ".*_cache", ".hypothesis", "*.egg-info")
            shutil.copytree(source, place / name, ignore=skip, copy_function=shutil.copyfile)
        else:
            shutil.copyfile(source, place / name)


def _build(source: Path, out: Path, what: list[str], mask: int, environment: dict[str, str]) -> list[Path]:
    command = [sys.executable, "-m", "build", "--no-isolation", *what, "--outdir", str(out), str(source)]
    done = subprocess.run(
        command, env={**os.environ, **environment}, umask=mask, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    return sorted(out.iterdir())


def _epoch(root: Path) -> str:
    """The time of the last commit, so that who has that commit gets these bytes."""
    asked = os.environ.get("SOURCE_DATE_EPOCH")
    if asked:
        return asked
    try:
        command = ["git", "log", "-1", "--format=%ct"]
        return subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.strip() or EPOCH
    except (OSError, subprocess.CalledProcessError):
        return EPOCH


def must_be_same(one: Path, other: Path) -> None:
    if one.name != other.name or digest(one) != digest(other):
        raise DifferenceError(f"{one} ({digest(one)}) and {other} ({digest(other)}) should be the same")

"""Which file of tests runs which line, and how long it takes: found out with coverage, once for each file.

A mutant is shown to those only who run its line. What a file reached is kept, and is found out again where the file or the
source has changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from coverage import CoverageData

from .trying import PYTEST

LIMIT_S = 300
PACKAGE = "src/gllm_core/concurrency"


class Reach(NamedTuple):
    """What one file of tests reaches, when all is well."""

    digest: str
    seconds: float
    lines: dict[str, list[int]]
    """By room."""


def digest_of(*paths: Path) -> str:
    return hashlib.sha256(b"|".join(path.read_bytes() for path in sorted(paths))).hexdigest()[:16]


def measured(folder: Path, kept: Path) -> dict[str, Reach]:
    """What each file of tests in *folder* reaches; what is known already is read from *kept*, where all is put."""
    rooms = list((folder / PACKAGE).glob("*.py"))
    known = {file: Reach(*values) for file, values in json.loads(kept.read_text()).items()} if kept.exists() else {}
    reaches: dict[str, Reach] = {}
    for path in sorted((folder / "tests").glob("test_*.py")):
        file, digest = f"tests/{path.name}", digest_of(path, *rooms)
        if file in known and known[file].digest == digest:
            reaches[file] = known[file]
            continue
        reached = measure(folder, file, digest)
        if reached is not None:
            reaches[file] = reached
        print(f"{file}: {'it fails, and is left out' if reached is None else f'{reached.seconds:.0f} s'}", flush=True)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps({**known, **reaches}))
    return reaches


def measure(folder: Path, file: str, digest: str) -> Reach | None:
    """What *file* reaches, in the processes that it starts, too; None if it fails."""
    data = folder / ".coverage"
    for path in folder.glob(".coverage*"):
        path.unlink()
    environment = {**os.environ, "PYTHONPATH": str(folder / "src")}
    commands = ("run", *PYTEST, file), ("combine", "--quiet")
    began = time.monotonic()
    for command in commands:
        whole = (sys.executable, "-m", "coverage", *command)
        try:
            done = subprocess.run(  # in a session of its own: some tests interrupt their whole process group
                whole, cwd=folder, env=environment, capture_output=True, timeout=LIMIT_S, check=False, start_new_session=True
            )
        except subprocess.TimeoutExpired:
            return None
        if done.returncode:
            return None
        if command[0] == "run":
            seconds = time.monotonic() - began
    found = CoverageData(str(data))
    found.read()
    paths = {Path(name).stem: name for name in found.measured_files()}
    lines = {room: sorted(found.lines(name) or ()) for room, name in paths.items()}
    return Reach(digest, round(seconds, 1), lines)


def who_runs(reaches: dict[str, Reach], room: str, line: int, words: dict[str, float], at_most_s: float) -> list[str]:
    """The files that run *line*, for *at_most_s* seconds in all: those that speak of it, then those that run most of the room.

    What a module does when it is imported, everybody runs. *words* says of each file how much it speaks of the line.
    """
    with_it = {file: reach for file, reach in reaches.items() if line in reach.lines.get(room, ())}
    ranked = sorted(with_it, key=lambda file: (-words.get(file, 0.0), -len(with_it[file].lines[room])))
    chosen: list[str] = []
    left = at_most_s
    for file in ranked:
        if with_it[file].seconds <= left or not chosen:
            chosen.append(file)
            left -= with_it[file].seconds
    return sorted(chosen, key=lambda file: with_it[file].seconds)


def who_speaks_of(line: str, room: str, texts: dict[str, str]) -> dict[str, float]:
    """How much each text speaks of *line* of *room*: a word that few of them have says more than one that many have."""
    weights: dict[str, float] = dict.fromkeys(texts, 0.0)
    for word in {room, *re.findall(r"\w{5,}", line)}:
        having = [file for file, text in texts.items() if re.search(rf"\b{word}\b", text)]
        for file in having:
            weights[file] += 1 / len(having)
    return weights

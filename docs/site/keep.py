"""Keep what a command has found, for the page about verification: with the date and the machine, without its paths.

python docs/site/keep.py NAME FILE
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import figures


def machine() -> str:
    """What a person would call it."""
    cpu = Path("/proc/cpuinfo")
    models = [line.partition(":")[2].strip() for line in cpu.read_text().splitlines() if line.startswith("model name")]
    return f"{os.cpu_count()} cores" + (f" ({models[0]})" if models else "")


def without_commands(found: Any) -> Any:
    """*found* without the commands that run something again: they are for the machine where it was found."""
    if isinstance(found, dict):
        return {key: without_commands(value) for key, value in found.items() if key != "again"}
    return [without_commands(value) for value in found] if isinstance(found, list) else found


def keep(name: str, file: Path) -> Path:
    """Write the figures in *file* to where the page finds them. Those of a run that found something are refused: it is to be
    mended, and they would go with it.
    """
    found = without_commands(json.loads(file.read_text()))
    if found.get("status") != 0:
        raise ValueError(f"{file} is of a run that found something: its status is {found.get('status')!r}")
    kept = {"date": time.strftime("%Y-%m-%d"), "machine": machine(), **found}
    figures.table(kept)  # what cannot be shown is not kept
    path = figures.path_of(name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(kept, indent=1) + "\n")
    return path


if __name__ == "__main__":
    print(keep(sys.argv[1], Path(sys.argv[2])))

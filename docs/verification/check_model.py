"""Check portal.pml with Spin: the model as it is must hold, of every order of its steps; each error put in must be found.

    python docs/verification/check_model.py [--only NAME] [--table FILE]

Needs `spin` and `gcc`. A search that stopped early (depth, memory, time) is a failure, whatever it found until then.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

MODEL = Path(__file__).with_name("portal.pml")
DEPTH = 100_000
LIMIT_S = 500
# No partial-order reduction: nearly every step is one that others can see.
COMPILE = ("-DNOFAIR", "-DNOREDUCE", "-DCOLLAPSE", "-DMEMLIM=6000")


class Setting(NamedTuple):
    """A size of the model that one search can exhaust."""

    says: str
    macros: str
    cycles: bool = False
    """Search for cycles as well: any would be callers that run in circles, as no step is to be repeated for ever."""


SETTINGS = {
    "first use": Setting(
        "3 callers race to the first portal; one start of a thread may fail", "CALLERS=3 CLOSERS=0 LOOPS=2 START_FAILS"
    ),
    "two closers": Setting("3 callers, 2 closers that stop or crash one portal", "CALLERS=3 CLOSERS=2 STARTED ONCE"),
    "kill": Setting("3 callers, 1 closer that may also end the loop's thread", "CALLERS=3 CLOSERS=1 STARTED ONCE KILL"),
    "replaced": Setting("2 callers, 1 closer, from one portal to the next", "CALLERS=2 CLOSERS=1 KILL"),
    "replaced twice": Setting("1 caller, 2 closers, two portals one after the other", "CALLERS=1 CLOSERS=2 KILL"),
    "fork": Setting("2 callers, 1 closer, a fork at any point of a call", "CALLERS=2 CLOSERS=1 LOOPS=4 FORK"),
    "progress": Setting("2 callers, 1 closer: nobody runs in circles", "CALLERS=2 CLOSERS=1 KILL", cycles=True),
}
VARIANTS = {
    "LOOKS_BEFORE_IT_REGISTERS": "kill",
    "WAKES_NOBODY": "first use",
    "WAKE_UP_LOST_ON_A_CLOSED_LOOP": "kill",
    "CLAIM_IS_NOT_ATOMIC": "kill",
    "TAKES_BACK_WITHOUT_CLAIM": "replaced",
    "CLOSES_WITHOUT_DRAIN": "kill",
    "CRASH_FORGETS_TASKS": "kill",
    "NO_HEALTH_CHECK": "kill",
    "BURY_FORGETS_CALLS": "kill",
    "BURY_FAILS_WHAT_NEVER_BEGAN": "replaced",
    "TWO_FINISH_ONE_CALL": "kill",
    "RINGS_THE_NEXT_DOORBELL": "replaced",
    "DEFAULT_IS_NOT_REPLACED": "progress",
    "LOOKS_FOR_A_SUCCESSOR_BEFORE_IT_SETS_ONE": "first use",
    "EVERYBODY_STARTS_ONE": "first use",
    "START_FAILURE_IS_NOT_TOLD": "first use",
    "FORK_KEEPS_THE_PARENTS_STATE": "fork",
    "CHILD_WAITS_FOR_THE_PARENTS_ANSWER": "fork",
}
"""Each error, and the setting in which it must be found."""


class Row(NamedTuple):
    """What came of one search."""

    name: str
    states: int
    seconds: float
    verdict: str
    good: bool


def seeded() -> set[str]:
    """The errors that can be put into the model."""
    return set(re.findall(r"^#if(?:n?def) VARIANT_(\w+)", MODEL.read_text(), re.MULTILINE))


def search(setting: Setting, variant: str | None) -> tuple[str, float]:
    """The verifier's output, and how long it ran, in seconds."""
    macros = setting.macros.split() + ([] if variant is None else [f"VARIANT_{variant}"])
    with tempfile.TemporaryDirectory(prefix="portal-model-") as folder:
        (Path(folder) / MODEL.name).write_text(MODEL.read_text())
        generate = ["spin", *(f"-D{macro}" for macro in macros), "-a", MODEL.name]
        subprocess.run(generate, cwd=folder, check=True, capture_output=True)
        kind = "-DNP" if setting.cycles else "-DSAFETY"
        effort = "-O2" if variant is None else "-O0"  # an error is found long before the compiler's effort has paid off
        subprocess.run(["gcc", effort, *COMPILE, kind, "-o", "pan", "pan.c"], cwd=folder, check=True, capture_output=True)
        began = time.monotonic()
        options = ["-l"] if setting.cycles else []
        try:
            done = subprocess.run(
                ["./pan", f"-m{DEPTH}", *options], cwd=folder, capture_output=True, text=True, timeout=LIMIT_S, check=False
            )
        except subprocess.TimeoutExpired:
            return f"no end within {LIMIT_S} s", time.monotonic() - began
        return done.stdout + done.stderr, time.monotonic() - began


def judge(output: str) -> tuple[str, int, bool]:
    """What the verifier says: the error found, or nothing; how many states; whether it looked at all there is."""
    states = re.search(r"^\s*(\d+) states, stored", output, re.MULTILINE)
    errors = re.search(r"errors: (\d+)", output)
    if states is None or errors is None:
        return f"no verdict: {output.strip()[-200:]}", 0, False
    found = re.search(r"^pan:\d+: (.+)$", output, re.MULTILINE)
    early = re.search(r"max search depth too small|out of memory|Search not completed|reached -DMEMLIM|aborting", output)
    if errors[1] != "0":
        says = re.sub(r" \(at depth \d+\)?.*$", "", found[1]) if found else "an error"
        return says.strip(), int(states[1]), False
    return "", int(states[1]), early is None


def check_model(name: str) -> Row:
    """It must hold, and the search must have seen all there is."""
    output, seconds = search(SETTINGS[name], None)
    found, states, whole = judge(output)
    verdict = f"VIOLATED: {found}" if found else "holds, exhausted" if whole else "NOT EXHAUSTED"
    return Row(f"{name}: {SETTINGS[name].says}", states, seconds, verdict, whole and not found)


def check_variant(name: str) -> Row:
    """The error must be found."""
    output, seconds = search(SETTINGS[VARIANTS[name]], name)
    found, states, _ = judge(output)
    says = name.lower().replace("_", " ")
    return Row(f"{says} ({VARIANTS[name]})", states, seconds, f"found: {found}" if found else "NOT FOUND", bool(found))


def as_markdown(rows: list[Row], seconds: float) -> str:
    """The table, for the documentation."""
    version = subprocess.run(["spin", "-V"], capture_output=True, text=True, check=True).stdout.strip()
    lines = [
        "---",
        "orphan: true",
        "---",
        "",
        "# The model of the portals' life, as checked",
        "",
        f"`make model`: {version}; {platform.system()} {platform.machine()}, {os.cpu_count()} cores; "
        f"{time.strftime('%Y-%m-%d')}; {seconds:.0f} s in all, one search at a time.",
        "",
        "| model, or error put in (setting) | states | seconds | verdict |",
        "|---|---:|---:|---|",
    ]
    lines += [f"| {row.name} | {row.states:,} | {row.seconds:.1f} | {row.verdict.replace('|', '&#124;')} |" for row in rows]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Check what is asked for; print a line for each search. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="the settings and variants whose names contain this")
    parser.add_argument("--table", type=Path, help="write the table to this file, as Markdown")
    options = parser.parse_args()
    missing = [tool for tool in ("spin", "gcc") if shutil.which(tool) is None]
    if missing:
        print(
            f"{' and '.join(missing)}: not found; on Debian, `apt-get install spin gcc libc6-dev` brings what the model needs"
        )
        return 2
    if seeded() != set(VARIANTS):
        print(f"portal.pml and this file do not list the same variants: {sorted(seeded() ^ set(VARIANTS))}")
        return 2
    wanted = (options.only or "").lower()
    began = time.monotonic()
    rows: list[Row] = []
    checks = [(name, check_model) for name in SETTINGS] + [(name, check_variant) for name in VARIANTS]
    for name, check in checks:
        if wanted in name.lower():
            row = check(name)
            mark = "ok    " if row.good else "FAILED"
            print(f"{mark} {row.states:>11,} states {row.seconds:6.1f} s  {row.name:<76} {row.verdict}", flush=True)
            rows.append(row)
    bad = sum(not row.good for row in rows)
    print(f"{len(rows)} searches, {bad} failed, in {time.monotonic() - began:.0f} s")
    if options.table is not None:
        options.table.write_text(as_markdown(rows, time.monotonic() - began))
    return 1 if bad or not rows else 0


if __name__ == "__main__":
    sys.exit(main())

"""Interpreter exits at random moments, in a farm of subprocesses (P3, P4, A12)."""

from __future__ import annotations

import subprocess
import sys
import time

from .rounds import Round, Scenario

FARM = 3
"""How many interpreters one round starts at the same time."""

LIMIT_S = 20.0
"""How long one may take; the shutdown's grace is 3 s, a loaded machine needs some more."""

PROGRAM = f"{__package__}.exit_program"


def _run(round_: Round) -> None:
    from . import exit_program

    seeds = [str(round_.random.randrange(10**9)) for _ in range(FARM)]
    began = time.monotonic()
    farm = [
        subprocess.Popen(
            [sys.executable, "-m", PROGRAM, seed], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for seed in seeds
    ]
    for seed, process in zip(seeds, farm, strict=True):
        plan = exit_program.plan(seed)
        what = f"the program {PROGRAM} {seed} ({', '.join(plan.doings)}; {plan.end})"
        round_.faults.count(f"exit: {plan.end}")
        entry = round_.history.new(what)
        try:
            stdout, stderr = process.communicate(timeout=max(0.1, LIMIT_S - (time.monotonic() - began)))
        except subprocess.TimeoutExpired:
            process.kill()
            stdout, stderr = process.communicate()
            round_.history.wrong(f"{what} had not ended after {LIMIT_S:g} s")
        entry.began.append(entry.marks[0][0])
        entry.ended.append(entry.marks[0][0])
        entry.came("value")
        if process.returncode != plan.status:
            round_.history.wrong(f"{what} ended with status {process.returncode}, not {plan.status}")
        if stderr:
            round_.history.wrong(f"{what} wrote to stderr:\n{stderr.decode(errors='replace')}")
        if stdout != b"":
            round_.history.wrong(f"{what} wrote to stdout:\n{stdout.decode(errors='replace')}")


SCENARIO = Scenario("exits", "interpreter exits at random moments, in a farm of subprocesses", _run)

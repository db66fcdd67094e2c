"""Runs the examples in the docstrings of a module's public functions, in an interpreter of their own."""

from __future__ import annotations

import json
import subprocess
import sys

LIMIT_S = 200.0

PROGRAM = """
import doctest, importlib, inspect, json, sys
module = importlib.import_module(sys.argv[1])
finder, runner, ran = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner(), {}
for name in module.__all__:
    thing = getattr(module, name)
    if inspect.isfunction(thing):
        ran[name] = 0
        for test in finder.find(thing, name, module=False, globs=dict(vars(module))):
            ran[name] += runner.run(test, out=sys.stderr.write).attempted
json.dump(ran, sys.stdout)
"""


def examples_run(module: str) -> dict[str, int]:
    """How many examples each public function of *module* has. All pass, and leave nothing on stderr, the exit included."""
    command = [sys.executable, "-W", "error", "-c", PROGRAM, module]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    ran: dict[str, int] = json.loads(done.stdout)
    return ran

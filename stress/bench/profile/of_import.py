"""The import: from as many empty modules to ours."""

from __future__ import annotations

import functools
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..footprint import IMPORT_OURS, compiled_modules, import_s
from ..model import Candidate, Result, Workload
from .ladder import Figures, Goal, Ladder

BAR_S = 0.005
EMPTY = "gllm_empty"
MODULES = """
import anyio, anyio.from_thread, anyio.to_thread, sys
before = set(sys.modules)
import gllm_core.concurrency
print(*(name for name in sys.modules if name not in before and name.startswith("gllm_core.")))
"""
FOUND_AND_READ = """
import anyio, anyio.from_thread, anyio.to_thread, time
from importlib.machinery import SourceFileLoader
SourceFileLoader.exec_module = lambda self, module: self.get_code(module.__name__)
started = time.CLOCK()
import {}
print(time.CLOCK() - started)
"""
READ_AT_ONCE = """
import anyio, anyio.from_thread, anyio.to_thread, marshal, time
started = time.CLOCK()
with open({!r}, "rb") as file:
    marshal.loads(file.read())
print(time.CLOCK() - started)
"""
COMPILE = """
import importlib.util, marshal, sys
codes = [importlib.util.find_spec(name).loader.get_code(name) for name in sys.argv[2:]]
with open(sys.argv[1], "wb") as file:
    marshal.dump(codes, file)
"""


def _empty(folder: Path, names: list[str]) -> list[str]:
    """Modules of the same names in a package of another name, with nothing in them."""
    for name in names:
        path = folder / Path(*name.replace("gllm_core", EMPTY).split("."))
        if any(other.startswith(name + ".") for other in names):
            path = path / "__init__"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".py").touch()
    return [name.replace("gllm_core", EMPTY) for name in names]


@contextmanager
def steps() -> Iterator[list[Candidate]]:
    with compiled_modules() as environment, tempfile.TemporaryDirectory() as folder:
        run = functools.partial(subprocess.run, capture_output=True, check=True, env=environment, text=True)
        names = run([sys.executable, "-c", MODULES]).stdout.split()
        empty = _empty(Path(folder), names)
        whole = Path(folder, "whole.bin")
        run([sys.executable, "-c", COMPILE, str(whole), *names])
        with_empty = environment | {"PYTHONPATH": folder}

        def load(program: str, modules: list[str]) -> str:
            return program.replace("import gllm_core.concurrency", "import " + ", ".join(modules))

        yield [
            Candidate("the whole import", "ours", functools.partial(import_s, IMPORT_OURS, environment)),
            Candidate(
                f"as many modules ({len(names)}) with nothing in them",
                "floor",
                functools.partial(import_s, load(IMPORT_OURS, empty), with_empty),
            ),
            Candidate(
                "+ our code, found, read and unmarshalled, but not run",
                "floor",
                functools.partial(import_s, FOUND_AND_READ.format(", ".join(names)), environment),
            ),
            Candidate(
                "all our code, unmarshalled from one file",
                "peer",
                functools.partial(import_s, READ_AT_ONCE.format(str(whole)), environment),
            ),
        ]


def _bar(result: Result) -> Figures:
    return [BAR_S for _ in result.per_call[result.reference]]


LIMIT = """
To find and make the modules, and to read their code, takes most of what the bar allows, or all of it, before a line of it has
run. The modules are many, as each holds one idea. In one file they would be found at once; but to unmarshal that (beside the
ladder) and to run it (what the last step adds) would still take more than the bar.
"""

LADDERS = [
    Ladder(
        Workload("import", "the import beyond `import anyio`, in a fresh interpreter", steps, grow=False, settings=("pinned",)),
        Goal("import beyond anyio, ms", f"{BAR_S * 1e3:g} ms", _bar),
        LIMIT,
    )
]

"""The signatures of the built wheel, as the type checkers of its users see them.

Builds the wheel into a fresh environment, copies the cases next to it, out of reach of src/ and of this project's
configuration, and runs mypy, pyright and pyrefly over them. A line that ends with `# E` must be an error to each checker,
one that ends with `# E[mypy]` to those named, and every other line to none. Each copied file gets one planted error at its
end, which proves that the checker read the file. `pyright --verifytypes` and stubtest look at the wheel, too.

The self-test then breaks signatures in the installed copy, and demands that everyone who should notice does.

    python typing_tests/run.py                  the cases, then the self-test
    python typing_tests/run.py --no-self-test   the cases alone
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
PACKAGE = "gllm_core.concurrency"
CHECKERS = ("mypy", "pyright", "pyrefly")
FOLDERS = ("positive", "negative", "limits")
SYNTAX = "3.11"
PLANTED = 'planted: int = "proof that this file was read"'
MARK = re.compile(r"  # E(?:\[(\w+(?:,\w+)*)\])?$")
NOT_A_MARK = re.compile(r"#\s*(E\b|(type|mypy|pyright|pyrefly):)")
# An error for one of these reasons says that a case is broken, not that it is rejected.
BROKEN = {"syntax", "parse-error", "name-defined", "reportUndefinedVariable", "unknown-name", "import-not-found"}
# Bodies are left out, as nothing is run; `typing.override` is newer than 3.11.
CONFIGURATION = {
    "mypy.ini": f"[mypy]\nstrict = true\npython_version = {SYNTAX}\nexplicit_package_bases = true\n"
    "disable_error_code = empty-body\n",
    "pyrightconfig.json": json.dumps({"include": FOLDERS, "typeCheckingMode": "strict", "pythonVersion": SYNTAX}),
    "pyrefly.toml": f'preset = "strict"\npython-version = "{SYNTAX}"\nproject-includes = {json.dumps(FOLDERS)}\n'
    "[errors]\nmissing-override-decorator = false\n",
    # Private names of private modules, and classes that mypy made up. The public names stay checked: stubtest reports them
    # where they are defined, in private modules.
    "stubtest.allowed": rf"{re.escape(PACKAGE)}\.((\w+\.)*_\w+\._|(\w+\.)*<|testing\.(_stress|explore\._\w+)\.).*" + "\n"
    # stubtest compares an alias of a Literal with what `typing` makes of one at run time.
    rf"{re.escape(PACKAGE)}\.(_registry\.(Direction|State)|_log\.Event)" + "\n",
}


class Line(NamedTuple):
    """A line of a case."""

    file: str
    number: int

    def __str__(self) -> str:
        return f"{self.file}:{self.number}"


Problems = dict[Line, set[str]]
"""Where a checker found errors, and of what kinds."""


class Cases:
    """The marks of the cases in *folder*, which is also where the planted errors go."""

    def __init__(self, folder: Path) -> None:
        self.marks: dict[Line, frozenset[str]] = {}
        self.planted: set[Line] = set()
        self.assertions: dict[str, int] = dict.fromkeys(FOLDERS, 0)
        self.failures: list[str] = []
        for name in FOLDERS:
            files = sorted((folder / name).glob("*.py"))
            if not files:
                self.failures.append(f"{name}/ holds no cases")
            for path in files:
                self._read(path, name)

    def _read(self, path: Path, folder: str) -> None:
        file = f"{folder}/{path.name}"
        lines = path.read_text().splitlines()
        before = self.assertions[folder] + len(self.marks)
        for number, line in enumerate(lines, 1):
            self.assertions[folder] += line.count("assert_type(")
            if mark := MARK.search(line):
                named = mark[1].split(",") if mark[1] else CHECKERS
                if folder == "positive" or (folder == "negative" and mark[1]) or not set(named) <= set(CHECKERS):
                    self.failures.append(f"{file}:{number}: a mark that does not belong here")
                self.marks[Line(file, number)] = frozenset(named)
            elif NOT_A_MARK.search(line):
                self.failures.append(
                    f"{file}:{number}: write a mark as '  # E' or '  # E[mypy,pyright]', and silence no checker"
                )
        if self.assertions[folder] + len(self.marks) == before:
            self.failures.append(f"{file} holds no cases")
        self.planted.add(Line(file, len(lines) + 1))
        path.write_text("\n".join([*lines, PLANTED, ""]))

    def judge(self, checker: str, problems: Problems) -> list[str]:
        """What *checker* should have reported and did not, and the reverse."""
        wanted = {line for line, named in self.marks.items() if checker in named}
        failures = [f"{line}: {checker} did not read this file" for line in self.planted - problems.keys()]
        failures += [f"{line}: {checker} reports no error" for line in wanted - problems.keys()]
        for line, kinds in problems.items():
            if line not in wanted | self.planted or kinds & BROKEN:
                failures.append(f"{line}: {checker} reports an unexpected error: {', '.join(sorted(kinds))}")
        return sorted(failures)


class Environment:
    """A fresh environment with the wheel in it, the cases beside it, and everyone who looks at them."""

    def __init__(self, folder: Path) -> None:
        folder = folder.resolve()
        self.folder, self.venv = folder / "cases", folder / "venv"
        self.variables = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "MYPYPATH"}}
        self.tools = Path(sys.executable).parent
        for tool in ("pyright", "pyrefly"):
            if not (self.tools / tool).exists():
                raise SystemExit(f"{tool} is missing beside {Path(sys.executable).name}; run `make` to install it")
        self.python = self.venv / "bin" / "python"
        self._run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, HERE.parent)
        (self.wheel,) = folder.glob("*.whl")
        self._run(sys.executable, "-m", "venv", "--without-pip", self.venv)
        install = (sys.executable, "-m", "pip", "--python", self.python, "install", "--quiet")
        shown_by_the_harness = ("pytest", "rich")
        self._run(*install, "--constraint", HERE.parent / "constraints.txt", self.wheel, "mypy", *shown_by_the_harness)
        path = f"{self.venv / 'bin'}{os.pathsep}{os.environ['PATH']}"
        self.variables |= {"PATH": path, "VIRTUAL_ENV": str(self.venv), "PYTHONDONTWRITEBYTECODE": "1"}
        (self.package,) = self.venv.glob("lib/python3*/site-packages/gllm_core/concurrency")
        for name in FOLDERS:
            shutil.copytree(HERE / name, self.folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name, text in CONFIGURATION.items():
            (self.folder / name).write_text(text)
        self.cases = Cases(self.folder)
        if self.cases.failures:
            raise SystemExit("\n".join(self.cases.failures))
        self.problems: dict[str, Problems] = {}

    def _run(self, *command: str | Path, codes: tuple[int, ...] = (0,), cwd: Path | None = None) -> str:
        done = subprocess.run(command, env=self.variables, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode not in codes:
            raise SystemExit(f"exit status {done.returncode} of {' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
        return done.stdout

    def look(self, observer: str) -> list[str]:
        """The failures that *observer* reports."""
        if observer not in CHECKERS:
            return self._verifytypes() if observer == "verifytypes" else self._stubtest()
        found: Problems = {}
        errors = {"mypy": self._mypy, "pyright": self._pyright, "pyrefly": self._pyrefly}[observer]()
        for file, number, kind in errors:
            found.setdefault(Line(file, number), set()).add(kind)
        self.problems[observer] = found
        return self.cases.judge(observer, found)

    def _mypy(self) -> list[tuple[str, int, str]]:
        command = (self.python, "-m", "mypy", "--config-file", "mypy.ini", "--output", "json", *FOLDERS)
        errors = map(json.loads, self._run(*command, codes=(0, 1), cwd=self.folder).splitlines())
        return [(error["file"], error["line"], error["code"]) for error in errors if error["severity"] == "error"]

    def _pyright(self) -> list[tuple[str, int, str]]:
        errors = json.loads(self._run(self.tools / "pyright", "--outputjson", codes=(0, 1), cwd=self.folder))[
            "generalDiagnostics"
        ]
        return [
            (os.path.relpath(error["file"], self.folder), error["range"]["start"]["line"] + 1, error.get("rule", "syntax"))
            for error in errors
            if error["severity"] != "information"
        ]

    def _pyrefly(self) -> list[tuple[str, int, str]]:
        command = (self.tools / "pyrefly", "check", "--python-interpreter-path", self.python, "--output-format", "json")
        errors = json.loads(self._run(*command, codes=(0, 1), cwd=self.folder))["errors"]
        return [(error["path"], error["line"], error["name"]) for error in errors]

    def _verifytypes(self) -> list[str]:
        command = (self.tools / "pyright", "--verifytypes", PACKAGE, "--ignoreexternal", "--outputjson")
        report: dict[str, Any] = json.loads(self._run(*command, codes=(0, 1), cwd=self.folder))
        score = report["typeCompleteness"]["completenessScore"]
        symbols = report["typeCompleteness"]["exportedSymbolCounts"]["withKnownType"]
        if score == 1 and symbols and not report["summary"]["errorCount"]:
            return []
        return [f"verifytypes: {score:.0%} of {PACKAGE}, {symbols} symbols of known type; `pyright --verifytypes` says which"]

    def _stubtest(self) -> list[str]:
        command = (self.python, "-m", "mypy.stubtest", PACKAGE, "--allowlist", "stubtest.allowed", "--ignore-unused-allowlist")
        output = self._run(*command, codes=(0, 1), cwd=self.folder)
        return [] if re.search(r"no issues found in [1-9]", output) else [f"stubtest: {output.strip() or 'no output'}"]

    def notices(self, sabotage: dict[str, Any]) -> list[str]:
        """Who should notice *sabotage* and does not."""
        what, path = sabotage["what"], self.package / sabotage["file"]
        original = path.read_text()
        if "pattern" in sabotage:
            pattern, replacement = str(sabotage["pattern"]), str(sabotage["replacement"])
            if not re.search(pattern, original):
                return [f"{what}: {pattern!r} is not in {path.name} any more"]
            path.write_text(re.sub(pattern, replacement, original))
        else:
            path.unlink()
        observers = sabotage.get("noticed_by", CHECKERS)
        try:
            with ThreadPoolExecutor(2) as pool:
                seen = list(pool.map(self.look, observers))
        finally:
            path.write_text(original)
        missed = [observer for observer, failures in zip(observers, seen, strict=True) if not failures]
        return [f"{what}: not noticed by {', '.join(missed)}"] if missed else []


def self_test(environment: Environment) -> list[str]:
    """Break the comparison, then signatures: each break must be noticed."""
    cases, found = environment.cases, environment.problems["mypy"]
    marked, unmarked = next(iter(cases.marks)), Line("positive/functions.py", 1)
    breaks = {
        "a checker that reports nothing": {},
        "a mark without an error": {line: kinds for line, kinds in found.items() if line != marked},
        "an error without a mark": found | {unmarked: {"misc"}},
        "a marked line that is broken": found | {marked: {"name-defined"}},
    }
    failures = [f"{what} passes" for what, problems in breaks.items() if not cases.judge("mypy", problems)]
    sabotages = tomllib.loads((HERE / "sabotage.toml").read_text())["sabotage"]
    for sabotage in sabotages:
        failures += environment.notices(sabotage)
    print(f"{'self-test':16} {len(sabotages)} broken signatures  {f'{len(failures)} FAILURES' if failures else 'ok'}")
    return failures


def report(observer: str, failures: list[str], cases: Cases) -> None:
    """Print a line for *observer*, or one for each folder if it judges cases."""
    if observer not in CHECKERS:
        print(f"{observer:16} {'FAILURE' if failures else 'ok'}")
        return
    for name in FOLDERS:
        files = sum(line.file.startswith(name) for line in cases.planted)
        marks = sum(line.file.startswith(name) and observer in named for line, named in cases.marks.items())
        wrong = sum(failure.startswith(name) for failure in failures)
        counts = f"{files} files {cases.assertions[name]:4} assertions {marks:4} errors wanted"
        version = importlib.metadata.version(observer)
        print(f"{observer:7} {version:8} {name:8} {counts}  {f'{wrong} FAILURES' if wrong else 'ok'}")


def main() -> int:
    """Judge the cases; if all is well, judge the judge."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="typing-tests-") as folder:
        environment = Environment(Path(folder))
        print(f"{environment.wheel.name} in a fresh environment, Python {sys.version.split()[0]}")
        failures: list[str] = []
        observers = (*CHECKERS, "verifytypes", "stubtest")
        with ThreadPoolExecutor(2) as pool:
            for observer, found in zip(observers, pool.map(environment.look, observers), strict=True):
                report(observer, found, environment.cases)
                failures += found
        if not failures and "--no-self-test" not in sys.argv:
            failures = [f"self-test: {failure}" for failure in self_test(environment)]
    print("".join(f"\n{failure}" for failure in failures), end="\n\n" if failures else "")
    print(f"{'FAILED' if failures else 'passed'} in {time.monotonic() - start:.0f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

"""Break one promise at a time, on a copy of the source, and demand that those who should notice do.

Each `*.patch` here says on its first lines which promise it breaks, and who is to notice:

    breaks: A3
    noticed by: tests/test_limiter.py tests/test_properties_compositions.py
    schedule: two_functions_at_once --preemptions 1
    stress: saturation --seconds 8 --seed 1

`noticed by` names tests (layer 1) or properties (layer 2): files, or functions in them. `schedule` is what is passed to
`python -m schedules` (layer 4), `stress` a scenario of `python -m gllm_core.concurrency.testing` and its options (layer 5).
Layer 3, the typing tests, has its own list of broken signatures, whose rows are taken over. Each claim is verified. A patch
that no longer applies, or that one of those who claim to notice it does not, is a failure; so is whatever is found without any
patch.

`--matrix` tries every layer on every patch instead, and fails only where nobody notices. To be run in the folder tests/, as
`python -m sabotage.run`.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from groups import run_group

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
LIMIT_S = 300
"""How long a look at a patched copy may take, in seconds."""
UNPATCHED_LIMIT_S = 1200
"""The same at the unpatched copy, where one look takes the tests of all patches, to their ends."""
TEST_LIMIT_S = 30
"""How long one test may take on the unpatched copy, in seconds: several times as long as any does."""
HANG_S = 12
"""The same on a patched copy, where a good many never end."""
LAYERS = ("tests", "properties", "typing", "schedules", "stress")
FOUND = {"tests": (1, 3), "properties": (1, 3), "schedules": (1, 3), "stress": (1, 3)}
"""The statuses that say so. pytest's 3: a SystemExit brought it down; the others' 3: a hang."""
MATRIX_SCHEDULES = "--quick --seconds 60"
MATRIX_STRESS = "--seconds 20 --seed 1"


class Look(NamedTuple):
    """One layer's look at the source: what it runs."""

    layer: str
    command: tuple[str, ...]


class Sabotage(NamedTuple):
    """One patch, and what its first lines say."""

    path: Path
    breaks: str
    looks: tuple[Look, ...]


class Row(NamedTuple):
    """What came of one patch: what each layer that looked had to say, and whether that is as it should be."""

    name: str
    breaks: str
    noticed: dict[str, bool]
    good: bool
    text: str
    seconds: float = 0.0


def look_with_tests(tests: Iterable[str], limit_s: int = HANG_S) -> list[Look]:
    """By the tests, and by the properties among them."""
    limits = ("--timeout", f"{limit_s}", "-o", "faulthandler_timeout=0")
    options = ("-x", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", *limits)
    looks = []
    for layer, wanted in (("tests", False), ("properties", True)):
        chosen = sorted(test for test in tests if ("test_properties_" in test) is wanted)
        if chosen:
            looks.append(Look(layer, (sys.executable, "-m", "pytest", *options, *chosen)))
    return looks


def look_with_schedules(options: str) -> Look:
    return Look("schedules", (sys.executable, "-m", "schedules", "--jobs", "1", *options.split()))


def look_with_stress(options: str) -> Look:
    command = (sys.executable, "-m", "gllm_core.concurrency.testing", "--jobs", "1", *options.split())
    return Look("stress", command)


def read(path: Path, matrix: bool) -> Sabotage:
    head = path.read_text().partition("\n\n")[0]
    lines = [line.partition(": ") for line in head.splitlines()]
    said = {key: [value for other, _, value in lines if other == key] for key, _, _ in lines}
    if not {"breaks"} < set(said) <= {"breaks", "noticed by", "schedule", "stress"}:
        raise SystemExit(f"{path.name}: its first lines must say 'breaks: ...' and 'noticed by:', 'schedule:' or 'stress: ...'")
    tests = " ".join(said.get("noticed by", [])).split()
    if matrix:
        properties = [f"tests/{file.name}" for file in (ROOT / "tests").glob("test_properties_*.py")]
        looks = look_with_tests({*tests, *properties})
        looks += [look_with_schedules(MATRIX_SCHEDULES), look_with_stress(MATRIX_STRESS)]
        return Sabotage(path, said["breaks"][0], tuple(looks))
    looks = look_with_tests(tests)
    looks += [look_with_schedules(line) for line in said.get("schedule", [])]
    looks += [look_with_stress(f"--scenario {line}") for line in said.get("stress", [])]
    return Sabotage(path, said["breaks"][0], tuple(looks))


def copy_to(folder: Path) -> None:
    for name in ("src", "tests", "stress/schedules", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "sabotage"))
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md"):
        shutil.copy(ROOT / name, folder)


def run(look: Look, folder: Path, limit_s: int = LIMIT_S) -> tuple[bool | None, str]:
    """Whether *look* finds something in *folder*, or, if it was no look at all, None; and what it says."""
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "PYTHONDONTWRITEBYTECODE": "", "GLLM_TESTS_WAIT_S": "10"}
    cwd = folder / "stress" if look.layer == "schedules" else folder
    status, output = run_group(look.command, cwd=cwd, env=environment, limit_s=limit_s)
    if status is None:
        return None, f"no end within {limit_s} s of {' '.join(look.command[2:])}"
    if status in FOUND[look.layer]:
        return True, first_failure(output)
    return (False if status == 0 else None), f"status {status} of {' '.join(look.command[2:])}"


def first_failure(output: str) -> str:
    """The line of the output that names what failed, or that a test ran out of time."""
    for pattern in (
        r"^(?:FAILED|ERROR) (.*)$",
        r"^\++ (Timeout) \++$",
        r"^(Fatal Python error.*)$",
        r"(python -m schedules.*)$",
        r"(python -m gllm_core.*)$",
    ):
        found = re.search(pattern, output, re.MULTILINE)
        if found:
            return found[1]
    return output.strip().splitlines()[-1] if output.strip() else "no output"


def try_patch(sabotage: Sabotage, matrix: bool) -> Row:
    """Apply it to a copy, and have everybody look."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_to(folder)
        command = ["git", "apply", "--unsafe-paths", "--directory", name, str(sabotage.path)]
        applied = subprocess.run(command, cwd=name, capture_output=True, text=True, check=False)
        if applied.returncode:
            text = f"does not apply: {applied.stderr.strip().splitlines()[0]}"
            return Row(sabotage.path.stem, sabotage.breaks, {}, False, text)
        noticed: dict[str, bool] = {}
        texts: list[str] = []
        missed: list[str] = []
        for look in sabotage.looks:
            found, text = run(look, folder)
            noticed[look.layer] = noticed.get(look.layer, False) or found is True
            (texts if found else missed).append(text)
    good = any(noticed.values()) if matrix else not missed
    text = texts[0] if good else f"NOT NOTICED: {'; '.join(missed)}"
    return Row(sabotage.path.stem, sabotage.breaks, noticed, good, text, time.monotonic() - began)


def try_nothing(looks: set[Look]) -> list[Row]:
    """The same looks, unpatched: they must find nothing, and look at the copy, or what they find would prove nothing."""
    tests = {word for look in looks if "pytest" in look.command for word in look.command if word.startswith("tests/")}
    files = {test for test in tests if "::" not in test}
    wanted = [
        *look_with_tests({test for test in tests if test in files or test.partition("::")[0] not in files}, TEST_LIMIT_S),
        *(look for look in looks if "pytest" not in look.command),
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_to(folder)
        where = (sys.executable, "-c", "import gllm_core.concurrency as c; print(c.__file__)")
        environment = {**os.environ, "PYTHONPATH": str(folder / "src")}
        shown = subprocess.run(where, cwd=folder, env=environment, capture_output=True, text=True, check=True).stdout
        if not Path(shown.strip()).is_relative_to(folder.resolve()):
            return [Row("unpatched", "", {}, False, f"the copy is not what is tested, but {shown.strip()}")]
        rows = []
        for look in wanted:
            began = time.monotonic()
            found, text = run(look, folder, UNPATCHED_LIMIT_S)
            text = "" if found is False else text
            rows.append(Row("unpatched", "", {look.layer: found is True}, found is False, text, time.monotonic() - began))
            print_row(rows[-1], " ".join(look.command[2:]))
        return rows


def check(chosen: list[Sabotage]) -> int:
    """Say which patches do not apply any more: whoever changes the lines that they change is to know at once."""
    if shutil.which("git") is None:
        print("git is missing: whether the sabotage patches still apply is not known")
        return 0
    command = ["git", "apply", "--check"]
    stale = [
        s.path.name for s in chosen if subprocess.run([*command, s.path], cwd=ROOT, capture_output=True, check=False).returncode
    ]
    print(f"does not apply any more: {', '.join(stale)}" if stale else f"all {len(chosen)} sabotage patches apply")
    return 1 if stale else 0


def try_signatures() -> list[Row]:
    """The typing tests break each signature of their list, and say whose break goes unnoticed."""
    command = (sys.executable, "typing_tests/run.py")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    broken = tomllib.loads((ROOT / "typing_tests" / "sabotage.toml").read_text())["sabotage"]
    rows = []
    for sabotage in broken:
        what = f"signature: {sabotage['what']}"
        good = done.returncode == 0 or (f"{sabotage['what']}:" not in done.stdout and "self-test" in done.stdout)
        rows.append(Row(what, "types", {"typing": good}, good, "" if good else "NOT NOTICED: see `make typing-tests`"))
    return rows


def print_row(row: Row, instead: str = "") -> None:
    word = "passed " if row.name == "unpatched" and row.good else "noticed" if row.good else "FAILED "
    layers = " ".join(layer for layer in LAYERS if row.noticed.get(layer))
    print(f"{word}  {row.breaks:<10} {row.name:<62} {layers:<24} {row.seconds:4.0f} s  {row.text or instead}", flush=True)


def only_late(row: Row) -> bool:
    """Whether only exploration or stress notices it."""
    return row.good and not any(row.noticed.get(layer) for layer in ("tests", "properties", "typing"))


def as_markdown(rows: list[Row], matrix: bool, seconds: float, left_out: int) -> str:
    said = {True: "yes", False: "no"}
    what = "every layer tried on every patch" if matrix else "what the patches' headers claim, verified"
    lines = [
        "---",
        "orphan: true",
        "---",
        "",
        "# Sabotage: which layer notices which broken promise",
        "",
        f"`make sabotage{' MATRIX=1' if matrix else ''}`: {what}; Python {sys.version.split()[0]}, {os.cpu_count()} cores, "
        f"{time.strftime('%Y-%m-%d')}, {seconds / 60:.0f} minutes. {sum(row.good for row in rows)} of {len(rows)} noticed"
        f"{f', {left_out} more patches were not asked for' if left_out else ''}. "
        "An empty cell: not tried. **Bold**: only schedules or stress notice it.",
        "",
        f"| patch | breaks | {' | '.join(LAYERS)} |",
        f"|---|---|{'---|' * len(LAYERS)}",
    ]
    for row in rows:
        name = f"**{row.name}**" if only_late(row) else row.name
        cells = (said[row.noticed[layer]] if layer in row.noticed else "" for layer in LAYERS)
        lines.append(f"| {name} | {row.breaks} | {' | '.join(cells)} |")
    lines += ["", *(f"- {layer}: {sum(row.noticed.get(layer, False) for row in rows)} noticed" for layer in LAYERS)]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="only the patches whose names contain one of these")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--matrix", action="store_true", help="every layer on every patch; takes hours")
    parser.add_argument("--check", action="store_true", help="only whether each patch still applies, and says who notices it")
    parser.add_argument("--table", type=Path, help="write the table to this file, as Markdown")
    options = parser.parse_args()
    every = [read(path, options.matrix) for path in sorted(HERE.glob("*.patch"))]
    chosen = [s for s in every if not options.names or any(name in s.path.stem for name in options.names)]
    if not chosen:
        raise SystemExit("no patch of that name")
    if options.check:
        return check(chosen)
    began = time.monotonic()
    with ThreadPoolExecutor(options.jobs) as pool:
        unpatched = pool.submit(try_nothing, {look for sabotage in chosen for look in sabotage.looks})
        signatures = None if options.names else pool.submit(try_signatures)
        rows: list[Row] = []
        for row in pool.map(lambda sabotage: try_patch(sabotage, options.matrix), chosen):
            print_row(row)
            rows.append(row)
        for row in [] if signatures is None else signatures.result():
            print_row(row)
            rows.append(row)
        plain = unpatched.result()
    late = [row.name for row in rows if only_late(row)]
    if late:
        print(f"only schedules or stress notice: {', '.join(late)}")
    noticed, sound = sum(row.good for row in rows), all(row.good for row in plain)
    print(f"{noticed} of {len(rows)} noticed{'' if sound else '; but something is found without any patch'}")
    if options.table is not None:
        options.table.write_text(as_markdown(rows, options.matrix, time.monotonic() - began, len(every) - len(chosen)))
    return 0 if sound and noticed == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())

"""The bill of materials: CycloneDX for machines, a page for people, of what an installation of the wheel brings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from .building import DifferenceError
from .installing import Environment

LIMIT_S = 120
THIS_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

ASK = """
import json, sys
from importlib import metadata
def licence(of):
    if of.get("License-Expression"):
        return of["License-Expression"]
    classified = [c.rpartition(" :: ")[2] for c in of.get_all("Classifier") or () if c.startswith("License ::")]
    return ", ".join(classified) or of.get("License") or "not said"
def row(name):
    of = metadata.metadata(name)
    return {"name": of["Name"], "version": of["Version"], "licence": licence(of), "says": of["Summary"]}
print(json.dumps([row(name) for name in sys.argv[1:]]))
"""

VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
sys.exit(str(JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read()) or "") or None)
"""

HEAD = """# Dependencies

The package brings AnyIO, and what AnyIO needs; nothing else. This page is written by `make dist`, from the metadata of what was
installed into an empty environment with Python {python} and the versions of `constraints.txt`; `make dist-check` fails where it
is out of date. The same as a CycloneDX bill of materials is written to `dist/sbom.cdx.json`.

| distribution | version | licence | what it is |
|---|---|---|---|
"""


def write(environment: Environment, brought: dict[str, str], pyproject: Path, target: Path) -> Path:
    """The bill of materials, as cyclonedx-bom writes it: reproducible, of just what the wheel brought."""
    bill = target / "sbom.cdx.json"
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--pyproject", str(pyproject), "--mc-type", "library"]
    command += ["--spec-version", "1.6", "--output-format", "JSON", "--output-reproducible", "--output-file", str(bill)]
    _run([*command, environment.python])
    document = json.loads(bill.read_text())
    _keep_only(document, set(brought))
    bill.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")
    _run([sys.executable, "-c", VALIDATE, str(bill)])
    return bill


def page(environment: Environment, brought: dict[str, str]) -> str:
    others = sorted(set(brought) - {"gllm-core-concurrency"})
    command = [environment.python, "-I", "-c", ASK, *others]
    rows = json.loads(subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=True).stdout)
    lines = [f"| {row['name']} | {row['version']} | {row['licence']} | {row['says']} |\n" for row in rows]
    return HEAD.format(python=THIS_PYTHON) + "".join(lines)


def check(file: Path, wanted: str) -> None:
    """Other Pythons need other distributions: only the one that wrote the page can compare."""
    found = file.read_text()
    if f"with Python {THIS_PYTHON} " not in found:
        print(f"{file.name} was written with another Python than {THIS_PYTHON}: not compared")
    elif found != wanted:
        raise DifferenceError(f"{file.name} is out of date: `make dist` writes it anew:\n{wanted}")


def _run(command: list[str]) -> None:
    done = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, timeout=LIMIT_S, check=False)
    if done.returncode:
        raise DifferenceError(f"the bill of materials cannot be made, or is none:\n{done.stderr}")


def _keep_only(document: dict[str, list[dict[str, object]]], names: set[str]) -> None:
    """Without pip and setuptools, which any environment has; and what depends on what, likewise."""
    document["components"] = [c for c in document["components"] if str(c["name"]).lower().replace("_", "-") in names]
    refs = {c["bom-ref"] for c in document["components"]} | {"root-component"}
    document["dependencies"] = [
        {**d, **({"dependsOn": kept} if (kept := [r for r in _refs(d) if r in refs]) else {})}
        for d in document["dependencies"]
        if d["ref"] in refs
    ]
    found = {str(c["name"]).lower().replace("_", "-") for c in document["components"]}
    if found | {"gllm-core-concurrency"} != names:
        raise DifferenceError(f"the bill of materials names {sorted(found)}, and should name {sorted(names)}")


def _refs(dependency: dict[str, object]) -> list[str]:
    refs = dependency.get("dependsOn", [])
    assert isinstance(refs, list)
    return refs

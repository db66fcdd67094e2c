"""The promises of docs/contract.md, and the tests, stress scenarios and sabotage patches that name them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
CONTRACT = ROOT / "docs" / "contract.md"
PLACES = ("tests", "stress", "src/gllm_core/concurrency/testing/_stress")

_PROMISE = re.compile(r"^:::\{promise\} (\w+)\n(.*?)^:::$", re.MULTILINE | re.DOTALL)
_PROVES = re.compile(r"proves: (\w+(?:, *\w+)*)\.?")


class Proof(NamedTuple):
    """A test, or a scenario, that says which promises it proves."""

    place: str
    """`tests/test_limiter.py::test_that`, which pytest takes as it is."""
    fact: str
    """What its docstring states."""
    promises: frozenset[str]


class Sabotage(NamedTuple):
    """A patch that breaks promises on purpose."""

    name: str
    promises: frozenset[str]


def promises(text: str | None = None) -> dict[str, str]:
    """The wording of each promise, by its number, in the contract's order."""
    found = _PROMISE.findall(CONTRACT.read_text() if text is None else text)
    return {number: " ".join(wording.split()) for number, wording in found}


def proofs() -> list[Proof]:
    """All tests and scenarios whose docstring names a promise."""
    return [proof for place in PLACES for path in sorted((ROOT / place).rglob("*.py")) for proof in proofs_in(path)]


def proofs_in(path: Path) -> Iterator[Proof]:
    """Those of one module."""
    source = path.read_text()
    if "proves: " not in source:
        return
    where = path.relative_to(ROOT).as_posix()
    for names, docstring in _docstrings(ast.parse(source), ()):
        numbers = {number for group in _PROVES.findall(docstring) for number in re.split(r", *", group)}
        if numbers:
            fact = " ".join(_PROVES.sub("", docstring).split())
            yield Proof("::".join((where, *names)), fact.rstrip(" ()"), frozenset(numbers))


def _docstrings(node: ast.AST, names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        yield names, ast.get_docstring(node) or ""
        for child in node.body:
            yield from _docstrings(child, (*names, getattr(child, "name", "")))


def sabotages() -> list[Sabotage]:
    """All patches, with the promises that their first lines name."""
    return [
        Sabotage(path.stem, frozenset(re.findall(r"\w+", named[1])))
        for path in sorted((ROOT / "tests" / "sabotage").glob("*.patch"))
        if (named := re.search(r"^breaks: (.*)$", path.read_text(), re.MULTILINE))
    ]

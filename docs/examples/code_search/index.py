"""The index: every function of the standard library, in a SQLite database with full-text search. Plain blocking code."""

from __future__ import annotations

import ast
import sqlite3
import sysconfig
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

STDLIB = Path(sysconfig.get_path("stdlib"))
# Tests and tables of data would take most of the time, and nobody searches them.
SKIPPED = {"site-packages", "test", "tests", "idlelib", "lib2to3", "encodings", "pydoc_data", "turtledemo", "ensurepip"}

SCHEMA = """
    CREATE TABLE files (path TEXT, size INTEGER);
    CREATE VIRTUAL TABLE functions USING fts5 (path, line UNINDEXED, name, doc, source);
"""


class Function(NamedTuple):
    """One function or method, as the index stores it."""

    path: str
    line: int
    name: str
    doc: str
    source: str


def source_files() -> list[Path]:
    """The files to index; none where Python was installed without its sources."""
    return [path for path in sorted(STDLIB.rglob("*.py")) if SKIPPED.isdisjoint(path.relative_to(STDLIB).parts)]


def has_full_text_search() -> bool:
    """Whether this Python's SQLite was built with FTS5."""
    with closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.executescript(SCHEMA)
        except sqlite3.OperationalError:
            return False
    return True


def build(database: Path, files: list[Path]) -> Iterator[int]:
    """Write the index, one file at a time; yield how many functions each one has."""
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(SCHEMA)
        with connection:  # one transaction
            for file in files:
                functions = list(functions_of(file))
                path = file.relative_to(STDLIB).as_posix()
                connection.execute("INSERT INTO files VALUES (?, ?)", (path, file.stat().st_size))
                connection.executemany("INSERT INTO functions VALUES (?, ?, ?, ?, ?)", functions)
                yield len(functions)


def functions_of(file: Path) -> Iterator[Function]:
    """The functions of a module and the methods of its classes; none if it is not valid Python (templates are not)."""
    try:
        text = file.read_text(encoding="utf-8")
        module = ast.parse(text)
    except (SyntaxError, UnicodeDecodeError):
        return
    path = file.relative_to(STDLIB).as_posix()
    lines = text.splitlines(keepends=True)
    bodies: list[tuple[str, list[ast.stmt]]] = [("", module.body)]
    while bodies:
        prefix, body = bodies.pop()
        for node in body:
            match node:
                case ast.ClassDef():
                    bodies.append((f"{prefix}{node.name}.", node.body))
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    source = "".join(lines[node.lineno - 1 : node.end_lineno])
                    yield Function(path, node.lineno, prefix + node.name, ast.get_docstring(node) or "", source)

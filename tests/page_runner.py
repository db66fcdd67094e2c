"""Runs the code of one page of the documentation, from its first line to its last, in this process.

    python tests/page_runner.py PAGE

- A Python block runs in `__main__`, after those above it.
- A Python block whose first line is a comment with a file's name, such as `# counter.py`, is that file. If its name begins with
  `test_`, pytest runs it, and it must pass.
- `print(...)  # 42` at the left margin prints 42.
- A block of the language `output` is exactly what has been printed since the last one.
- A block of the language `console` has `$ python FILE ...` lines, which run, and what they print.

What is printed and not shown is an error, too.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

from sybil import Document, Example
from sybil.parsers.myst import CodeBlockParser

LIMIT_S = 90.0
"""How long a program of the page may take, in seconds."""

FILE_NAME = re.compile(r"# (\w+\.py)\n")
PRINTS = re.compile(r"^print\(.*\)  # (.*)$", re.MULTILINE)
STRICT = ("-W", "error", "-W", "ignore:This process:DeprecationWarning")


class Printed:
    """What this process and its children write to stdout, in a file; `rest` is what was not asked for yet."""

    def __init__(self, folder: Path) -> None:
        (folder / "stdout").touch()
        self._file = os.open(folder / "stdout", os.O_RDWR | os.O_APPEND)
        self._seen = 0
        os.dup2(self._file, sys.stdout.fileno())

    def rest(self) -> str:
        sys.stdout.flush()
        written = os.pread(self._file, os.fstat(self._file).st_size, 0).decode()
        rest, self._seen = written[self._seen :], len(written)
        return rest


class Page:
    """The evaluators of one page's blocks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._printed = Printed(folder)
        self.last = ""
        """Where the block is that ran last."""

    def python(self, example: Example) -> None:
        self.last = f"line {example.line}"
        named = FILE_NAME.match(example.parsed)
        if named is not None:
            (self._folder / named[1]).write_text(example.parsed)
            if named[1].startswith("test_"):
                self._pytest(named[1])
            return
        source = "\n" * example.line + example.parsed  # so that tracebacks name the page's own lines
        exec(compile(source, example.path, "exec", dont_inherit=True), example.namespace)
        shown = PRINTS.findall(example.parsed)
        if shown:
            self._expect(example, "\n".join(shown), self._printed.rest())

    def output(self, example: Example) -> None:
        self._expect(example, example.parsed, self._printed.rest())

    def console(self, example: Example) -> None:
        self._nothing_unshown(example)
        commands = re.findall(r"^\$ python (.*)\n((?:(?!\$ ).*\n?)*)", example.parsed, re.MULTILINE)
        if not commands:
            raise AssertionError(f"{example.path}:{example.line}: no '$ python ...' line; a block that does not run is 'sh'")
        for arguments, shown in commands:
            ran = self._run(*shlex.split(arguments))
            self._expect(example, shown, ran.stdout + ran.stderr)

    def end(self, document: Document) -> None:
        rest = self._printed.rest()
        if rest:
            raise AssertionError(f"{document.path}: printed, and not shown, after {self.last}:\n{rest}")

    def _nothing_unshown(self, example: Example) -> None:
        rest = self._printed.rest()
        if rest:
            raise AssertionError(f"{example.path}:{example.line}: printed before, and not shown:\n{rest}")

    def _expect(self, example: Example, shown: str, printed: str) -> None:
        if shown.rstrip() != printed.rstrip():
            raise AssertionError(f"{example.path}:{example.line}: the page shows\n{shown}\n--- and this was printed\n{printed}")

    def _pytest(self, name: str) -> None:
        ran = self._run("-m", "pytest", "-q", "-c", os.devnull, "--rootdir", ".", "-p", "no:cacheprovider", name)
        if ran.returncode:
            raise AssertionError(f"{name} ended with {ran.returncode}\n{ran.stdout}{ran.stderr}")

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *STRICT, *arguments],
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )


def run(path: Path, folder: Path) -> None:
    """Run the page *path*, in *folder*."""
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    page = Page(folder)
    languages = {"python": page.python, "output": page.output, "console": page.console}
    document = Document.parse(str(path), *(CodeBlockParser(name, evaluate) for name, evaluate in languages.items()))
    document.namespace = vars(sys.modules["__main__"])
    for example in document:
        example.parsed = textwrap.dedent(str(example.parsed))
        example.evaluate()
    page.end(document)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="page-") as scratch:
        run(Path(sys.argv[1]).resolve(), Path(scratch))

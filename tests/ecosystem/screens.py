"""What a window needs: a display that nobody sees, and a Python that has Tk."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from ecosystem.children import WAIT_S, python_path

SOURCES = Path(__file__).parents[2] / "src"
DEBIAN_PYTHON = "/usr/bin/python3"
PROBE = "import sys, tkinter; sys.exit(sys.version_info < (3, 11))"


def missing(what: str) -> NoReturn:
    """A test cannot run. Where a person works, it is skipped and says why; in CI, which must have everything, it fails."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}, and CI needs it", pytrace=False)
    pytest.skip(what)


def python_with_tk() -> tuple[str, dict[str, str]]:
    """An interpreter that can import tkinter, and the environment that makes it find the library."""
    for python in (sys.executable, DEBIAN_PYTHON):
        if shutil.which(python) and subprocess.run([python, "-c", PROBE], capture_output=True, timeout=WAIT_S).returncode == 0:
            break
    else:
        missing(f"neither {sys.executable} nor {DEBIAN_PYTHON} is a Python 3.11 with Tk: install python3-tk")
    return python, python_path(SOURCES, Path(sysconfig.get_paths()["purelib"]))  # AnyIO is in the latter


@contextmanager
def screen() -> Generator[dict[str, str], None, None]:
    """A display of a virtual frame buffer: the environment that programs find it by."""
    server = shutil.which("Xvfb")
    if server is None:
        missing("Xvfb was not found: install xvfb")
    reader, writer = os.pipe()
    command = [str(server), "-displayfd", str(writer), "-screen", "0", "640x480x24", "-nolisten", "tcp"]
    process = subprocess.Popen(command, pass_fds=[writer], stderr=subprocess.PIPE)
    os.close(writer)
    try:
        ready, _, _ = select.select([reader], [], [], WAIT_S)
        number = os.read(reader, 100).decode().strip() if ready else ""
        assert number, "Xvfb did not start"
        yield {"DISPLAY": f":{number}"}
    finally:
        os.close(reader)
        process.terminate()
        process.communicate(timeout=WAIT_S)

"""Interactive shells at a real terminal: the standard library's console, and IPython."""

from __future__ import annotations

import sys
from pathlib import Path

from ecosystem.children import PROGRAMS, python_path, run
from ecosystem.terminals import CTRL_C, CTRL_D, at_terminal


def test_the_console_of_the_standard_library() -> None:
    """A call works; Ctrl-C runs the coroutine's `finally` block, then raises, and the console goes on. proves: S6, P5."""
    with at_terminal(sys.executable, PROGRAMS / "console.py") as terminal:
        terminal.until(">>> ")
        terminal.type("upper('word')\n")
        terminal.until("'WORD'\n>>> ")
        terminal.type("endless()\n")
        terminal.until("\nbegun\n")
        terminal.type(CTRL_C)
        terminal.until("finally\n")
        terminal.until("KeyboardInterrupt\n>>> ")
        terminal.type("upper('again'), in_flight()\n")
        terminal.until("('AGAIN', ())\n>>> ")
        terminal.type(CTRL_D)
        terminal.until("left\n")
        assert terminal.end() == 0


def test_ipython_at_a_terminal(tmp_path: Path) -> None:
    """The same in IPython, whose cells run without a loop: no warning; `await` at the top level works, too. proves: S6, P5."""
    env = {"IPYTHONDIR": str(tmp_path), **python_path(PROGRAMS)}
    options = ["--simple-prompt", "--no-banner", "--no-confirm-exit", "--colors=nocolor", "-i", "-c"]
    start = "from console import *; globals().update(names); import threading"
    with at_terminal(sys.executable, "-W", "error::RuntimeWarning", "-m", "IPython", *options, start, env=env) as terminal:
        terminal.until("In [1]: ")
        terminal.type("upper('word')\n")
        assert "Warning" not in terminal.until("Out[1]: 'WORD'")
        terminal.until("In [2]: ")
        terminal.type("await asyncify(lambda: threading.current_thread().name[:12])()\n")
        assert "Warning" not in terminal.until("Out[2]: 'gllm-worker-'")
        terminal.until("In [3]: ")
        terminal.type("endless()\n")
        terminal.until("\nbegun\n")
        terminal.type(CTRL_C)
        terminal.until("finally\n")
        terminal.until("KeyboardInterrupt")
        terminal.until("In [4]: ")
        terminal.type("upper('again'), in_flight()\n")
        terminal.until("Out[4]: ('AGAIN', ())")
        terminal.until("In [5]: ")
        terminal.type("exit\n")
        assert terminal.end() == 0


def test_ipython_on_a_command_line(tmp_path: Path) -> None:
    """`ipython -c` ends with status 0 and says nothing more than it was told to. proves: P3."""
    env = {"IPYTHONDIR": str(tmp_path), **python_path(PROGRAMS)}
    program = "from console import *; print(names['upper']('word'))"
    run(sys.executable, "-W", "error", "-m", "IPython", "--no-banner", "-c", program, env=env).expect("WORD")

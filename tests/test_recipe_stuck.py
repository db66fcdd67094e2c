"""The page about what is stuck, and the program that it quotes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from subprocess_tools import LIMIT_S

DOCS = Path(__file__).parent.parent / "docs"


def test_a_dump_says_what_faulthandler_cannot() -> None:
    """The program's output has what the page quotes of it: the coroutines are in the dump alone. proves: dump"""
    ran = subprocess.run(
        [sys.executable, str(DOCS / "examples" / "stuck.py")], capture_output=True, text=True, timeout=LIMIT_S, check=True
    )
    threads, _, report = ran.stdout.partition("=== gllm_core.concurrency.dump\n")
    assert "in select" in threads
    assert "make_report" not in threads
    _, _, quoted = (DOCS / "seeing.md").read_text().partition("What `dump()` says:\n\n```text\n")
    for line in quoted.partition("\n```")[0].splitlines():
        assert line in shortened(report), line


def shortened(report: str) -> list[str]:
    report = re.sub(r'File "\S*/(\S+)", line \d+', r'File "\1"', report)
    report = re.sub(r"for \d+\.\d s", "for 0.0 s", report)
    return re.sub(r"0x[0-9a-f]+", "0x7fdbe6105440", report).splitlines()

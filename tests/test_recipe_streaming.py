"""The recipe of the documentation, as it stands there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from subprocess_tools import LIMIT_S

RECIPE = Path(__file__).parent.parent / "docs" / "examples" / "token_stream.py"


def test_a_client_that_hangs_up_closes_the_source() -> None:
    """The blocking SDK's connection is given back, thread and token are free, and nothing is in flight. proves: I3"""
    ran = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", str(RECIPE)], capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines() == [
        "one client got all 15 tokens: Whole: It was a ...",
        "one client hung up after 3: Part: It was",
        "connections of the SDK: 0; calls in flight: 0; tokens of the limiter in use: 0",
    ]

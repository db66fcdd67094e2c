"""A window: Tk's main loop has the main thread, and the library works beside it."""

from __future__ import annotations

from ecosystem.children import PROGRAMS, run
from ecosystem.screens import python_with_tk, screen


def test_a_thread_beside_the_main_loop() -> None:
    """A thread loads through async code while the window lives; a callback makes a short call, and starts a long one; the
    window is closed while another call is in flight, which the exit ends in silence. proves: S2, S9, I1, P3.
    """
    python, paths = python_with_tk()
    with screen() as display:
        ended = run(python, "-X", "dev", "-W", "error", PROGRAMS / "tk_window.py", env={**paths, **display})
    ended.expect(
        "thread: page one",
        "thread: page two",
        "clicked: SHORT",
        "later: LONG",
        "in flight: endless",
        "finally",
    )

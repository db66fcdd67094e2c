"""A process that gevent has patched: with threads replaced by greenlets it is refused, with threads kept it works."""

from __future__ import annotations

from ecosystem.children import PROGRAMS, PYTHON, run

REMEDY = "keep them with monkey.patch_all(thread=False, queue=False)"
NO_PORTAL, NO_WORKER = f"PortalNotRunningError: {REMEDY}", f"RuntimeError: {REMEDY}"


def test_threads_replaced_by_greenlets() -> None:
    """Every first use is refused at once, with the remedy, whatever greenlet it comes from; nothing hangs, nothing is left,
    and what has nothing to do with us works as ever. proves: S4.
    """
    run(*PYTHON, "-W", "error", PROGRAMS / "on_gevent.py").expect(
        NO_PORTAL, f"{[NO_PORTAL]}", NO_PORTAL, NO_WORKER, NO_WORKER, NO_PORTAL, "b'cooperative'", "in flight: 0"
    )


def test_threads_kept() -> None:
    """With `patch_all(thread=False, queue=False)` both directions work, from greenlets, too; one that waits in a
    syncified call holds up those of its thread, as any blocking call does that gevent has not patched. proves: S2, A2.
    """
    portal = "WORD on gllm-default-portal"
    run(*PYTHON, "-W", "error", PROGRAMS / "on_gevent.py", "thread", "queue").expect(
        portal,
        f"['{portal}']",
        "WORD on scoped",
        "WORD on MainThread",
        "[0, 1, 2]",
        "b'echo\\n'",
        "b'cooperative'",
        "in flight: 0",
    )

"""Async clients in plain scripts: httpx against a real server, SQLAlchemy's async engine on a database of files."""

from __future__ import annotations

import signal
from pathlib import Path

from ecosystem.children import PROGRAMS, PYTHON, run
from ecosystem.web import UVICORN_LOG, on_uvicorn

STRICT = (*PYTHON, "-W", "error")


def test_httpx_in_a_plain_script() -> None:
    """One AsyncClient, entered once, serves calls from several threads, gathers, and streams that are left half-way: the
    server sees the hang-up, and the script ends with nothing on stderr. proves: S1, S2, I3.
    """
    with on_uvicorn("on_starlette:app", "asyncio") as (server, port):
        script = run(*STRICT, PROGRAMS / "httpx_script.py", str(port))
        script.expect(
            "one: PLAIN",
            f"from threads: {[200] * 8}",
            f"at once: {[200] * 6}",
            "streamed: ['token 0', 'token 1', 'token 2']",
            "closed: {'in_flight': 0, 'borrowed': 0}",
            "impatient: left",
            "after: Cannot send a request, as the client has been closed.",
        )
        server.tell("go")
        server.send(signal.SIGINT)
        server.end().expect_only_logs(UVICORN_LOG)


def test_sqlalchemy_in_a_plain_script(tmp_path: Path) -> None:
    """An engine lives on the portal's loop; a session and its transaction span calls; rows stream; once disposed of, the
    engine may serve another loop. proves: S1, S2, I1, I2.
    """
    run(*STRICT, PROGRAMS / "sqlalchemy_script.py", tmp_path / "words.db").expect(
        "within: 2",
        "rolled back: 0",
        "committed: four three",
        "in another session: 3",
        "on another loop: 3",
    )

"""Django's plain and async views, over WSGI (wsgiref) and over ASGI (uvicorn), on a database."""

from __future__ import annotations

import signal
from pathlib import Path

from ecosystem.children import PROGRAMS, PYTHON, started
from ecosystem.web import UVICORN_LOG, get, on_uvicorn

PLAIN = ["PLAIN on gllm-default-portal", ["plain"]]
ASYNC = ["ASYNC", ["plain", "async"]]


def test_views_under_wsgi(tmp_path: Path) -> None:
    """Both kinds of views call across: the plain one async code, the async one the database. proves: S1, S2, A2."""
    with started(*PYTHON, PROGRAMS / "on_django.py", "2", env={"DATABASE": str(tmp_path / "words")}) as server:
        port = int(server.until(r"port (\d+)")[1])
        assert get(port, "/plain") == PLAIN
        assert get(port, "/async") == ASYNC
        server.end().expect(f"port {port}")


def test_views_under_asgi(tmp_path: Path) -> None:
    """The same on a server's loop, where Django runs plain views on a thread. proves: S1, S2, A2."""
    with on_uvicorn("on_django:app", "asyncio", env={"DATABASE": str(tmp_path / "words")}) as (server, port):
        assert get(port, "/plain") == PLAIN
        assert get(port, "/async") == ASYNC
        server.send(signal.SIGINT)
        server.end().expect_only_logs(UVICORN_LOG)

"""Starlette and FastAPI on uvicorn, on asyncio's own loop and on uvloop."""

from __future__ import annotations

import http.client
import signal

import pytest

from ecosystem.children import WAIT_S, Child
from ecosystem.web import UVICORN_LOG, Clients, get, on_uvicorn

every_framework = pytest.mark.parametrize("app", ["on_starlette:app", "on_fastapi:app"])
every_loop = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


def stop(server: Child) -> None:
    server.send(signal.SIGINT)
    server.end().expect_only_logs(UVICORN_LOG)


@every_framework
@every_loop
def test_a_limiter_bounds_what_endpoints_run(app: str, loop: str) -> None:
    """Of twelve requests at once, three run their blocking function at a time, never more. proves: A3, A11."""
    with on_uvicorn(app, loop) as (server, port):
        clients = Clients(port, 12)
        clients.ask("/meet")
        assert clients.answers() == [3] * 12
        stop(server)


@every_framework
@every_loop
def test_a_client_hangs_up(app: str, loop: str) -> None:
    """A client hangs up half-way: the blocking source is closed, its thread and its token are free. proves: I3."""
    with on_uvicorn(app, loop) as (server, port):
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
        client.request("GET", "/stream")
        get(port, "/more?count=3")
        response = client.getresponse()
        assert [response.readline() for _ in range(3)] == [b"token 0\n", b"token 1\n", b"token 2\n"]
        response.close()
        client.close()
        assert get(port, "/closed") == {"in_flight": 0, "borrowed": 0}
        stop(server)


@every_framework
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_graceful_shutdown_under_load(app: str, number: signal.Signals, status: int) -> None:
    """What was accepted when the signal came is answered; then the server ends, with nothing on stderr but its log.

    On SIGTERM uvicorn ends by that same signal, when all is done; so would it without us.
    """
    with on_uvicorn(app, "asyncio") as (server, port):
        clients = Clients(port, 20)
        clients.ask("/hold")
        assert get(port, "/begun?count=20") == 20
        server.send(number)
        server.until("Shutting down", "stderr")
        server.tell("go")
        assert clients.answers() == ["through"] * 20
        server.end().expect_only_logs(UVICORN_LOG, status=status)


@every_framework
def test_plain_endpoints_call_async_code(app: str) -> None:
    """A plain endpoint, on a thread of the framework, calls an async function on the default portal. proves: S1, S2."""
    with on_uvicorn(app, "asyncio") as (server, port):
        assert get(port, "/plain") == {"word": "PLAIN", "thread": "gllm-default-portal", "pid": server.pid}
        stop(server)

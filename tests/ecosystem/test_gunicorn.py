"""Flask under gunicorn, which loads the application, uses the default portal in it, and then forks two workers."""

from __future__ import annotations

import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from ecosystem.children import PROGRAMS, Child, python_path, started
from ecosystem.web import Clients

LOG = r"\[\d{4}-\d\d-\d\d .*\] \[\d+\] \[INFO\] "
SYNC, THREADS = (
    ("--worker-class", "sync"),
    ("--worker-class", "gthread", "--threads", "1", "--worker-connections", "1", "--keep-alive", "0"),
)
# A worker that is held is not to be taken for stuck, however slow the machine.
PATIENCE = ("--timeout", "120", "--graceful-timeout", "120")

every_worker_class = pytest.mark.parametrize("workers", [SYNC, THREADS], ids=["sync", "gthread"])


@contextmanager
def served(workers: tuple[str, ...]) -> Generator[tuple[Child, int], None, None]:
    options = ["--preload", "--workers", "2", *workers, "--bind", "127.0.0.1:0", "--no-control-socket", *PATIENCE]
    command = [sys.executable, "-m", "gunicorn", *options, "on_flask:app"]
    with started(*command, env=python_path(PROGRAMS)) as server:
        port = int(server.until(r"Listening at: http://127\.0\.0\.1:(\d+)", "stderr")[1])
        yield server, port


@every_worker_class
def test_both_workers_answer(workers: tuple[str, ...]) -> None:
    """Called before the fork, an async function works in the master; after it, in both workers, on new portals. proves: P5."""
    with served(workers) as (server, port):
        clients = Clients(port, 2)
        clients.ask("/meet")
        answers = clients.answers()
        thread = "gllm-default-portal"
        for answer in answers:
            assert answer["before"] == {"word": "BEFORE THE FORK", "thread": thread, "pid": server.pid}
            assert answer["after"] == {"word": "AFTER THE FORK", "thread": thread, "pid": answer["pid"]}
            assert answer["portal is new"], answer
        assert len({answer["pid"] for answer in answers} | {server.pid}) == 3
        server.send(signal.SIGTERM)
        server.end().expect_only_logs(LOG)


@every_worker_class
def test_a_graceful_stop(workers: tuple[str, ...]) -> None:
    """On SIGTERM both workers answer what they have accepted, and end; status 0, nothing on stderr but the log. proves: P5."""
    with served(workers) as (server, port):
        clients = Clients(port, 2)
        clients.ask("/hold")
        server.until("held")
        server.send(signal.SIGTERM)
        server.until("Handling signal: term", "stderr")
        server.tell("go")
        assert clients.answers() == [[True]] * 2
        server.end().expect_only_logs(LOG)

"""A Celery worker with a prefork pool of two processes, on a broker and a result store of files."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import pytest

from ecosystem.children import PROGRAMS, PYTHON, python_path, run, started

# A container's only user is root, of which Celery warns.
CELERY = (sys.executable, "-W", "ignore:You're running the worker with superuser", "-m", "celery", "--quiet")


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    for name in ("messages", "control", "results"):
        Path(tmp_path, name).mkdir()
    return {"FOLDER": str(tmp_path), **python_path(PROGRAMS)}


def test_tasks_call_async_code_in_each_process(env: dict[str, str]) -> None:
    """Called before the fork, an async function works in the main process; after it, in both others. proves: P5."""
    options = ["--pool", "prefork", "--concurrency", "2", "--loglevel", "INFO", "--without-mingle", "--without-gossip"]
    with started(*CELERY, "-A", "celery_tasks", "worker", *options, env=env) as worker:
        worker.until("ready", "stderr")
        client = run(*PYTHON, PROGRAMS / "celery_client.py", env=env)
        assert (client.status, client.stderr) == (0, []), str(client)
        answers = json.loads(client.stdout[0])
        thread = "gllm-default-portal"
        pids = {answer["after"].pop("pid") for answer in answers}
        for word, answer in zip(["ONE", "TWO"], answers, strict=True):
            assert answer["before"] == {"word": "BEFORE THE FORK", "thread": thread, "pid": worker.pid}
            assert answer["after"] == {"word": word, "thread": thread}
            assert answer["portal is new"], answer
        assert len(pids | {worker.pid}) == 3, (pids, worker.pid)
        worker.send(signal.SIGTERM)
        worker.end().expect_only_logs(r"\[\d{4}-\d\d-\d\d .*: INFO/")

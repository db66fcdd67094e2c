"""Web servers in processes of their own, and HTTP from plain threads over real sockets: one request a connection."""

from __future__ import annotations

import http.client
import json
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from ecosystem.children import PROGRAMS, PYTHON, WAIT_S, Child, started

UVICORN_LOG = r"INFO: "
"""How each line of its stderr begins where all is well."""


@contextmanager
def on_uvicorn(app: str, loop: str, env: dict[str, str] | None = None) -> Generator[tuple[Child, int], None, None]:
    """*app* of the programs on uvicorn: the server, and the port that it has."""
    command = (*PYTHON, "-m", "uvicorn", "--port", "0", "--app-dir", PROGRAMS, "--loop", loop, "--no-access-log", app)
    with started(*command, env=env) as server:
        yield server, int(server.until(r"running on http://127\.0\.0\.1:(\d+)", "stderr")[1])


def get(port: int, path: str) -> Any:
    """The JSON that `GET path` is answered with; any other status than 200 is an error."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    assert response.status == 200, f"{path}: {response.status} {body.decode(errors='replace')}"
    return json.loads(body)


class Clients:
    """Requests at the same time, each from a thread of its own."""

    def __init__(self, port: int, count: int) -> None:
        self._port = port
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="client")
        self._asked: list[Any] = []
        self._count = count

    def ask(self, path: str) -> None:
        self._asked.extend(self._pool.submit(get, self._port, path) for _ in range(self._count))

    def answers(self) -> list[Any]:
        answers = [asked.result(WAIT_S) for asked in self._asked]
        self._pool.shutdown()
        return answers

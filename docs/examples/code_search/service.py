"""The service: async HTTP in front, a blocking database behind, `asyncify` between them."""

from __future__ import annotations

import re
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from anyio import CapacityLimiter
from anyio.from_thread import start_blocking_portal
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from gllm_core.concurrency import asyncify

STOP_LIMIT_S = 5

QUERY = """
    SELECT path, line, name, snippet(functions, 4, '[', ']', '...', 12) AS excerpt
    FROM functions WHERE functions MATCH ? ORDER BY rank LIMIT 5
"""


class Gauge:
    """Counts the threads that are inside it: now, and the most at once. The lock guards both numbers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.now = self.most = 0

    def __enter__(self) -> None:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *exc_info: object) -> None:
        with self._lock:
            self.now -= 1

    def reset(self) -> None:
        """Forget the most at once."""
        with self._lock:
            self.most = self.now


class CodeSearch:
    """Answers questions from the index; never more than *bound* queries run at once, however many clients ask."""

    def __init__(self, database: Path, bound: int) -> None:
        self.gauge = Gauge()
        self._address = f"{database.as_uri()}?mode=ro"
        self._find = asyncify(self.find, limiter=CapacityLimiter(bound))
        self.app = Starlette(routes=[Route("/search", self.search)])

    async def search(self, request: Request) -> JSONResponse:
        """The endpoint. The event loop stays free for others while a worker thread runs the query."""
        return JSONResponse(await self._find(request.query_params["q"]))

    def find(self, question: str) -> list[dict[str, Any]]:
        """The functions that match the words of *question* best: an ordinary blocking function."""
        words = " OR ".join(f'"{word}"*' for word in re.findall(r"\w+", question))
        with self.gauge, closing(sqlite3.connect(self._address, uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(QUERY, [words])]


@contextmanager
def serve(app: Starlette) -> Iterator[str]:
    """Serve *app* on a free port, from an event loop on a thread of its own; give its address; stop it gracefully."""
    config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=STOP_LIMIT_S)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener, start_blocking_portal(name="code-search-service") as portal:
        # Else the kernel may hold back the end of a small answer for 40 ms, and asking one after another would look too slow.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        serving = portal.start_task_soon(server.serve, [listener])
        try:
            # The socket listens already: the first request waits in its queue until the server has started.
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            serving.result(timeout=2 * STOP_LIMIT_S)

"""The client: async requests inside, plain methods outside, `syncify` between them."""

from __future__ import annotations

from types import TracebackType
from typing import NamedTuple

import httpx

from gllm_core.concurrency import syncify

REQUEST_LIMIT_S = 10


class Hit(NamedTuple):
    """One function that matches."""

    path: str
    line: int
    name: str
    excerpt: str


def open_http(url: str) -> httpx.AsyncClient:
    """An async HTTP client whose waits are bounded; the environment's proxies are not for a service on this machine."""
    return httpx.AsyncClient(base_url=url, timeout=REQUEST_LIMIT_S, trust_env=False)


class SearchClient:
    """Asks the service. All threads share it: their requests run side by side, on one event loop, from one connection pool."""

    def __init__(self, url: str) -> None:
        self._http = open_http(url)

    @syncify
    async def search(self, question: str) -> list[Hit]:
        """The five best matches."""
        response = await self._http.get("/search", params={"q": question})
        response.raise_for_status()
        return [Hit(**hit) for hit in response.json()]

    @syncify
    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def __enter__(self) -> SearchClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

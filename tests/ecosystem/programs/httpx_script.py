"""A plain script on httpx's async client: one client, one pool of connections, across calls from several threads."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import anyio
import httpx

from gllm_core.concurrency import syncify, syncify_context, syncify_iterator

base = f"http://127.0.0.1:{sys.argv[1]}"


@syncify_iterator
async def lines(client: httpx.AsyncClient, path: str) -> AsyncIterator[str]:
    async with client.stream("GET", path) as response:
        async for line in response.aiter_lines():
            yield line


@syncify
async def many(client: httpx.AsyncClient, path: str, count: int) -> list[int]:
    return [response.status_code for response in await asyncio.gather(*(client.get(path) for _ in range(count)))]


@syncify
async def impatient(client: httpx.AsyncClient, path: str) -> str:
    with anyio.move_on_after(0.05):
        await client.get(path)
        return "answered"
    return "left"


with syncify_context(httpx.AsyncClient)(base_url=base, timeout=60) as client:
    get = syncify(client.get)
    print("one:", get("/plain").json()["word"])
    with ThreadPoolExecutor(4) as pool:
        print("from threads:", [response.status_code for response in pool.map(get, ["/plain"] * 8)])
    print("at once:", many(client, "/meet", 6))
    get("/more?count=3")
    tokens = lines(client, "/stream")
    print("streamed:", [next(tokens), next(tokens), next(tokens)])
    tokens.close()  # hangs up half-way
    print("closed:", get("/closed").json())
    print("impatient:", impatient(client, "/hold"))
try:
    get("/plain")
except RuntimeError as error:
    print("after:", error)

"""A FastAPI application, for uvicorn to run."""

from __future__ import annotations

import bridges
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

app = FastAPI()


@app.get("/meet")
async def meet() -> int:
    return await bridges.meet()


@app.get("/hold")
async def hold() -> str:
    return await bridges.hold()


@app.get("/begun")
async def begun(count: int) -> int:
    return await bridges.begun(count)


@app.get("/stream")
async def stream() -> StreamingResponse:
    return StreamingResponse(bridges.stream(), media_type="text/plain")


@app.get("/more")
async def more(count: int) -> int:
    return bridges.more(count)


@app.get("/closed")
async def closed() -> dict[str, object]:
    return await bridges.closed()


@app.get("/plain")
def plain() -> dict[str, object]:
    return bridges.from_plain_code("plain")

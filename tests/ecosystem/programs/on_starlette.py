"""A Starlette application, for uvicorn to run."""

from __future__ import annotations

import bridges
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route


async def meet(request: Request) -> Response:
    return JSONResponse(await bridges.meet())


async def hold(request: Request) -> Response:
    return JSONResponse(await bridges.hold())


async def begun(request: Request) -> Response:
    return JSONResponse(await bridges.begun(int(request.query_params["count"])))


async def stream(request: Request) -> Response:
    return StreamingResponse(bridges.stream(), media_type="text/plain")


async def more(request: Request) -> Response:
    return JSONResponse(bridges.more(int(request.query_params["count"])))


async def closed(request: Request) -> Response:
    return JSONResponse(await bridges.closed())


def plain(request: Request) -> Response:
    return JSONResponse(bridges.from_plain_code("plain"))


app = Starlette(routes=[Route(f"/{view.__name__}", view) for view in (meet, hold, begun, stream, more, closed, plain)])

"""A program that gevent has patched, all but what `sys.argv` names."""

from __future__ import annotations

import sys

from gevent import monkey

monkey.patch_all(**{name: False for name in sys.argv[1:]})

import asyncio  # noqa: E402 # after the patch, as gevent demands
import socket  # noqa: E402
import threading  # noqa: E402
from collections.abc import Callable  # noqa: E402

import gevent  # noqa: E402
from anyio.from_thread import start_blocking_portal  # noqa: E402

from gllm_core.concurrency import asyncify, asyncify_iterator, in_flight, syncify  # noqa: E402


async def upper(word: str) -> str:
    return await asyncify(str.upper)(word) + " on " + threading.current_thread().name.rstrip("0123456789")


async def count() -> list[int]:
    return [item async for item in asyncify_iterator(range)(3)]


async def echo() -> bytes:
    """A round trip over a socket, on the portal's loop."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"echo\n")
        said = await reader.readline()
        writer.close()
        await writer.wait_closed()
        return said


def scoped() -> str:
    with start_blocking_portal(name="scoped") as portal:
        return syncify(upper, portal=portal)("word")


def outcome(use: Callable[..., object], *args: object) -> object:
    try:
        return use(*args)
    except RuntimeError as error:
        return f"{type(error).__name__}: {str(error).rpartition('; ')[2]}"


def in_greenlets() -> list[object]:
    greenlets = [gevent.spawn(outcome, syncify(upper), "word") for _ in range(10)]
    gevent.joinall(greenlets, timeout=60)
    return list({greenlet.get(): None for greenlet in greenlets})


def blocking_socket() -> bytes:
    """Sockets of In the greenlets of the main thread, as ever."""
    one, other = socket.socketpair()
    with one, other:
        gevent.spawn(one.sendall, b"cooperative")
        return other.recv(100)


def main() -> None:
    for use in (
        lambda: syncify(upper)("word"),
        in_greenlets,
        scoped,
        lambda: asyncio.run(upper("word")),
        lambda: asyncio.run(count()),
        lambda: syncify(echo)(),
        blocking_socket,
    ):
        print(outcome(use))
    print("in flight:", len(in_flight()))


main()

"""Stream the tokens of a blocking SDK to HTTP clients, one of which hangs up half-way.

    python docs/examples/token_stream.py

The SDK blocks for each token, holds a connection while it streams, and knows nothing of event loops. `asyncify_iterator` gives
each stream one worker thread from its first token to its end. When a client hangs up, the response is cancelled; the stream is
closed on its own thread, its connection is given back, and the thread is free, before the response's task is over.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import aclosing, suppress

import anyio
from anyio.to_thread import current_default_thread_limiter

from gllm_core.concurrency import asyncify_iterator, in_flight

TEXT = "It was a bright cold day in April, and the clocks were striking thirteen."


class BlockingSdk:
    """Stands for a vendor's: a connection for each completion, and a blocking wait for each of its tokens."""

    def __init__(self) -> None:
        self.connections = 0
        self.next_token = threading.Semaphore(0)
        """Released once for each token that the model has ready."""

    def complete(self, prompt: str) -> Iterator[str]:
        self.connections += 1
        try:
            for word in [prompt, *TEXT.split()]:
                self.next_token.acquire()
                yield word
        finally:
            self.connections -= 1


async def serve(sdk: BlockingSdk, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one HTTP request with a chunk for each token."""
    completions = asyncify_iterator(sdk.complete)
    prompt = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode().strip("/")
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    async with anyio.create_task_group() as group:

        async def watch_for_hang_up() -> None:
            with suppress(ConnectionError):
                await reader.read()  # the client sends nothing more: this is the end of its side
            group.cancel_scope.cancel()

        group.start_soon(watch_for_hang_up)
        with suppress(ConnectionError):
            async with aclosing(completions(prompt)) as tokens:
                async for token in tokens:
                    writer.write(f"{len(token):x}\r\n{token}\r\n".encode())
                    await writer.drain()
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        group.cancel_scope.cancel()
    writer.close()


async def ask(port: int, prompt: str, sdk: BlockingSdk, *, hang_up_after: int) -> list[str]:
    """The tokens that a client got: all of them, or as many as it wanted."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /{prompt} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    tokens: list[str] = []
    while len(tokens) < hang_up_after:
        sdk.next_token.release()
        size = int(await reader.readuntil(b"\r\n"), 16)
        chunk = await reader.readexactly(size + 2)
        if not size:
            break
        tokens.append(chunk[:-2].decode())
    writer.close()
    await writer.wait_closed()
    return tokens


async def main() -> None:
    sdk = BlockingSdk()
    responses: list[asyncio.Task[None]] = []

    def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        responses.append(asyncio.create_task(serve(sdk, reader, writer)))

    async with await asyncio.start_server(respond, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        whole = await ask(port, "Whole:", sdk, hang_up_after=1000)
        print(f"one client got all {len(whole)} tokens: {' '.join(whole[:4])} ...")
        part = await ask(port, "Part:", sdk, hang_up_after=3)
        print(f"one client hung up after {len(part)}: {' '.join(part)}")
        sdk.next_token.release()  # the model goes on: its next token comes, and nobody wants it
        await asyncio.wait(responses)
        print(f"connections of the SDK: {sdk.connections}; calls in flight: {len(in_flight())}; ", end="")
        print(f"tokens of the limiter in use: {current_default_thread_limiter().borrowed_tokens}")


if __name__ == "__main__":
    anyio.run(main)

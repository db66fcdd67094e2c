"""Streams and scopes: arguments that the function does not take, options that do not exist, and the wrong kind of either."""

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager

from gllm_core.concurrency import asyncify_context, asyncify_iterator, syncify_context, syncify_iterator


def lines(path: str, *, size: int = 1) -> Iterator[bytes]: ...
async def tokens(prompt: str, *, limit: int = 1) -> AsyncIterator[str]:
    yield prompt


def plain(x: int) -> int: ...
async def async_plain(x: int) -> int: ...


@contextmanager
def opened(path: str) -> Generator[bytes, None, None]:
    yield b""


@asynccontextmanager
async def connected(host: str) -> AsyncGenerator[int, None]:
    yield 1


def takes_text(text: str) -> None: ...


async def wrong_arguments() -> None:
    asyncify_iterator(lines)()  # E
    asyncify_iterator(lines)(1)  # E
    asyncify_iterator(lines)("p", 1)  # E
    asyncify_iterator(lines)("p", sice=1)  # E
    asyncify_iterator(lines, limiter=None)("p", size="2")  # E
    asyncify_iterator(limiter=None)(lines)(1)  # E
    syncify_iterator(tokens)()  # E
    syncify_iterator(tokens)(1)  # E
    syncify_iterator(portal=None)(tokens)("p", limit="2")  # E
    asyncify_context(opened)()  # E
    asyncify_context(opened)(1)  # E
    asyncify_context(limiter=None)(opened)("p", "q")  # E
    syncify_context(connected)(1)  # E
    syncify_context(portal=None)(connected)()  # E


async def wrong_options() -> None:
    asyncify_iterator(lines, limiter=4)  # E
    asyncify_iterator(lines, cancellable=True)  # E
    asyncify_iterator(lines, None)  # E
    asyncify_context(opened, portal=None)  # E
    asyncify_context(limiter=4)  # E
    syncify_iterator(tokens, limiter=None)  # E
    syncify_iterator(tokens, portal="p")  # E
    syncify_context(connected, limiter=None)  # E
    syncify_context(connected, None)  # E


async def what_cannot_be_wrapped() -> None:
    asyncify_iterator(plain)  # E
    asyncify_iterator(tokens)  # E
    asyncify_iterator(1)  # E
    syncify_iterator(lines)  # E
    syncify_iterator(plain)  # E
    syncify_iterator(async_plain)  # E
    asyncify_context(plain)  # E
    asyncify_context(lines)  # E
    asyncify_context(connected)  # E
    syncify_context(opened)  # E
    syncify_context(tokens)  # E
    syncify_context(async_plain)  # E


async def results_taken_for_what_they_are_not() -> None:
    for _ in asyncify_iterator(lines)("p"):  # E
        pass
    async for _ in syncify_iterator(tokens)("p"):  # E
        pass
    await asyncify_iterator(lines)("p")  # E
    with asyncify_context(opened)("p"):  # E
        pass
    async with syncify_context(connected)("h"):  # E
        pass
    async for line in asyncify_iterator(lines)("p"):
        takes_text(line)  # E
    async with asyncify_context(opened)("p") as data:
        takes_text(data)  # E
    with syncify_context(connected)("h") as number:
        takes_text(number)  # E

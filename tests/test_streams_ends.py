"""What ends a stream from outside, in a process of its own: the interpreter's exit, a fork, Ctrl-C."""

from __future__ import annotations

import pytest

from fork_programs import PROGRAM
from subprocess_tools import COMMON, STRICT, run_program

SOURCES = """
from gllm_core.concurrency import asyncify_iterator, syncify_iterator, asyncify_context, syncify_context
import contextlib
producing = threading.Semaphore(0)
home = os.getpid()

async def numbers(block=False):
    try:
        yield 1
        if block:
            producing.release()
            await anyio.sleep_forever()
        yield 2
    finally:
        await asyncio.sleep(0)
        say("source closed")

def blocking_numbers(block=False):
    try:
        yield 1
        if block:
            producing.release()
            threading.Event().wait()
        yield 2
    finally:
        if os.getpid() == home:  # a child's copy dies with the child, or before
            say("source closed")
        started.release()
"""

EXITS = {
    "a syncified stream, between two items": (
        "stream = syncify_iterator(numbers)(); say(next(stream)); say('end')",
        ["1", "end", "source closed"],
    ),
    "a syncified stream, in production on a daemon thread": (
        "in_thread(list, syncify_iterator(numbers)(True)); producing.acquire(timeout=30); say('end')",
        ["end", "source closed"],
    ),
    "a syncified stream in a cycle": (
        """
class Node:
    pass
node = Node()
node.me, node.stream = node, syncify_iterator(numbers)()
say(next(node.stream))
del node
gc.disable()
""",
        ["1", "source closed"],
    ),
    "a syncified scope that is never left": (
        "scope = syncify_context(contextlib.asynccontextmanager(numbers))(); say(scope.__enter__()); say('end')",
        ["1", "end", "source closed"],
    ),
    "an asyncified stream that its run leaves open": (
        """
async def first():
    say(await anext(stream))
stream = asyncify_iterator(blocking_numbers)()
asyncio.run(first())
say('end')
""",
        ["1", "source closed", "end"],
    ),
    "an asyncified stream that no loop knows of": (
        """
stream = asyncify_iterator(blocking_numbers)()
say(asyncio.run(anext(stream)))
del stream
started.acquire(timeout=30)
""",
        ["1", "source closed"],
    ),
    "an asyncified stream, its loop on a daemon thread, in endless production": (
        """
async def main():
    async for item in asyncify_iterator(blocking_numbers)(True):
        say(item)
in_thread(asyncio.run, main())
producing.acquire(timeout=30)
say('end')
""",
        ["1", "end"],
    ),
    "an asyncified scope, its loop on a daemon thread": (
        """
async def main():
    async with asyncify_context(contextlib.contextmanager(blocking_numbers))() as item:
        say(item)
        producing.release()
        await asyncio.sleep(3600)
in_thread(asyncio.run, main())
producing.acquire(timeout=30)
say('end')
""",
        ["1", "end"],
    ),
}


@pytest.mark.parametrize(("program", "output"), EXITS.values(), ids=EXITS)
def test_the_exit_is_quiet_and_closes_what_it_can(program: str, output: list[str]) -> None:
    """The exit closes the sources on the default portal, waits for no worker thread, and says nothing. proves: I3, P3, A12"""
    prelude = COMMON + SOURCES
    if "in_thread" in program:
        prelude += "threading.excepthook = lambda args: None\n"
    run_program(prelude + program, options=STRICT).expect(*output)


def test_a_child_forked_in_mid_stream_gets_an_error_and_the_parent_goes_on() -> None:
    """In the child the next item and the exit raise at once, nothing hangs; the parent's streams go on. proves: I3, S4, P5"""
    run_program(
        PROGRAM
        + SOURCES
        + """
def error_of(function, *args):
    try:
        return function(*args)
    except BaseException as error:
        return f"{type(error).__name__}{' of the parent' * ('parent' in str(error))}"

async def leave(scope):
    return await scope.__aexit__(None, None, None)

loop = asyncio.new_event_loop()
sync_stream = syncify_iterator(numbers)()
async_stream = asyncify_iterator(blocking_numbers)()
sync_scope = syncify_context(contextlib.asynccontextmanager(numbers))()
async_scope = asyncify_context(contextlib.contextmanager(blocking_numbers))()
say(next(sync_stream), loop.run_until_complete(anext(async_stream)))
say(sync_scope.__enter__(), loop.run_until_complete(async_scope.__aenter__()))

def in_child():
    say(error_of(next, sync_stream), error_of(lambda: asyncio.run(anext(async_stream))))
    say(error_of(sync_scope.__exit__, None, None, None), error_of(lambda: asyncio.run(leave(async_scope))))
    say(error_of(sync_stream.close), error_of(lambda: asyncio.run(async_stream.aclose())))
    say(list(syncify_iterator(numbers)()))

child(in_child)
say(next(sync_stream), loop.run_until_complete(anext(async_stream)))
sync_stream.close()
loop.run_until_complete(async_stream.aclose())
say(sync_scope.__exit__(ValueError, ValueError(), None))
say(loop.run_until_complete(async_scope.__aexit__(ValueError, ValueError(), None)))
loop.close()
""",
        options=("-W", "ignore::DeprecationWarning", "-W", "ignore::RuntimeWarning"),
    ).expect(
        "1 1",
        "1 1",
        "PortalNotRunningError RuntimeError of the parent",
        "PortalNotRunningError RuntimeError of the parent",
        "None None",
        "source closed",
        "[1, 2]",
        "2 2",
        *["source closed"] * 2,
        *["source closed", "False"] * 2,
    )


def test_ctrl_c_in_production_closes_the_source() -> None:
    """Ctrl-C while an item is produced cancels the source, waits for its `finally` blocks, and is raised. proves: I3, S6"""
    run_program(
        COMMON
        + SOURCES
        + """
def interrupt():
    producing.acquire(timeout=30)
    os.kill(os.getpid(), signal.SIGINT)

in_thread(interrupt)
try:
    for item in syncify_iterator(numbers)(True):
        say(item)
except KeyboardInterrupt:
    say("interrupted")
say(list(syncify_iterator(numbers)()))
""",
        options=STRICT,
    ).expect("1", "source closed", "interrupted", "source closed", "[1, 2]")

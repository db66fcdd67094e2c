"""Children of every start method, and a pool of processes, of a parent whose default portal and worker threads are in use."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.context import BaseContext

import anyio

from gllm_core.concurrency import asyncify, get_default_portal, syncify

WAIT_S = 60.0


@asyncify
def where() -> int:
    return os.getpid()


@syncify
async def both(name: str) -> tuple[str, bool]:
    pids = {await where(), os.getpid()}
    return name, pids == {multiprocessing.current_process().pid} and threading.current_thread() is not threading.main_thread()


def child(name: str, said: multiprocessing.queues.Queue[tuple[str, bool]]) -> None:
    said.put(both(name))
    assert anyio.run(where) == os.getpid()


def processes(context: BaseContext) -> None:
    """Two children at a time, while the parent's own calls are in flight."""
    release = threading.Event()
    waiting = threading.Thread(target=syncify(asyncify(release.wait)), args=(WAIT_S,))
    waiting.start()
    said = context.Queue()
    children = [context.Process(target=child, args=(name, said)) for name in ("one", "two")]
    for process in children:
        process.start()
    print(*sorted(said.get(timeout=WAIT_S) for _ in children), end=" ")
    for process in children:
        process.join(WAIT_S)
    print("ended with", *(process.exitcode for process in children))
    said.close()
    release.set()
    waiting.join(WAIT_S)


def pool(context: BaseContext) -> None:
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        print(*sorted(executor.map(both, ["one", "two"], timeout=WAIT_S)), "from a pool")


if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    portal = get_default_portal()
    if sys.argv[1] == "forkserver":
        context.set_forkserver_preload(["bridges_at_work"])
    print("parent", *both("parent"))
    processes(context)
    pool(context)
    print("parent", *both("parent"), "kept" if get_default_portal() is portal else "replaced")

"""A program that ends in the middle of things: a coroutine and a function that never return are in flight."""

import threading
import time

from gllm_core.concurrency import asyncify, syncify

STARTED_LIMIT_S = 10

started = threading.Event()


@asyncify(cancellable=True)
def block_for_ever() -> None:
    """Nothing can interrupt this; nor does the exit wait for it."""
    started.set()
    threading.Event().wait()


@syncify
async def wait_for_ever() -> None:
    """This the exit cancels: it can clean up."""
    try:
        await block_for_ever()
    finally:
        print("cleaned up", flush=True)


if __name__ == "__main__":
    threading.Thread(target=wait_for_ever, daemon=True).start()
    if not started.wait(STARTED_LIMIT_S):
        raise SystemExit("the call did not start")
    print(time.perf_counter(), flush=True)  # the last statement: all that follows is exit

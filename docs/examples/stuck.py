"""A program that is stuck, seen by faulthandler and by `dump`, one below the other.

    python docs/examples/stuck.py

Two scripts' threads each wait for a report. One report waits for a database that does not answer; the other waits for a lock
that the first one holds. The threads' stacks say that somebody waits, and that a loop selects. What for, only `dump` says.
"""

from __future__ import annotations

import asyncio
import faulthandler
import sys
import threading

from gllm_core.concurrency import asyncify, dump, syncify

answers = threading.Event()
asked = threading.Event()
queued = threading.Event()


def query_the_database() -> None:
    asked.set()
    answers.wait()  # it does not


async def make_report(lock: asyncio.Lock) -> None:
    if lock.locked():
        asyncio.get_running_loop().call_soon(queued.set)
    async with lock:
        await asyncify(query_the_database)()


def main() -> None:
    lock = asyncio.Lock()
    scripts = [threading.Thread(target=syncify(make_report), args=(lock,), name=f"script {number}") for number in (1, 2)]
    scripts[0].start()
    asked.wait()
    scripts[1].start()
    queued.wait()
    print("=== faulthandler", flush=True)
    faulthandler.dump_traceback(sys.stdout)
    print("\n=== gllm_core.concurrency.dump", flush=True)
    dump(sys.stdout)
    answers.set()
    for script in scripts:
        script.join()


if __name__ == "__main__":
    main()

"""The interactive console of the standard library, with a few names in it."""

from __future__ import annotations

import code
import signal

import anyio
import anyio.lowlevel

from gllm_core.concurrency import asyncify, in_flight, syncify


async def endless() -> None:
    try:
        print("begun", flush=True)
        await anyio.sleep_forever()
    finally:
        await anyio.lowlevel.checkpoint()
        print("finally", flush=True)


async def upper(word: str) -> str:
    return await asyncify(str.upper)(word)


names = {"endless": syncify(endless), "upper": syncify(upper), "in_flight": in_flight}

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
    code.interact(banner="ready", local=names, exitmsg="left")

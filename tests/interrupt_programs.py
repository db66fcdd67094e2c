"""What the programs of the interrupt tests begin with: Ctrl-C at a handshake, and a coroutine that cleans up."""

from __future__ import annotations

from subprocess_tools import COMMON

PROGRAM = (
    COMMON
    + """
from anyio.from_thread import start_blocking_portal

def ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)

def when_started(func=ctrl_c):
    return in_thread(lambda: started.acquire(timeout=30) and func())

async def careful():
    try:
        await endless()
    finally:
        await asyncio.sleep(0.05)
        say("cleaned")
"""
)

DEFAULT = "portal = None"
SCOPED = "portal = stack.enter_context(start_blocking_portal())"
SCOPED_TRIO = "portal = stack.enter_context(start_blocking_portal('trio'))"


def interrupted(body: str, portal: str = DEFAULT) -> str:
    """A program that runs *body* with `portal` set, then shows that the portal still serves."""
    indented = "\n".join("    " + line for line in body.strip().splitlines())
    return f"""{PROGRAM}
import contextlib
with contextlib.ExitStack() as stack:
    {portal}
{indented}
    say(syncify(anyio.sleep, portal=portal)(0), [t.name for t in threading.enumerate() if "call" in t.name])
"""

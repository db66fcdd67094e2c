"""What the programs of the fork tests begin with: a child that runs and is waited for, and what shows that a process works."""

from __future__ import annotations

from subprocess_tools import COMMON

PROGRAM = (
    COMMON
    + """
import contextlib
from anyio.from_thread import start_blocking_portal

def works():
    '''Both directions, and a portal and workers of this very process.'''
    names = [syncify(one)(), asyncio.run(asyncify(lambda: 2)()), syncify(asyncify(os.getpid))() == os.getpid()]
    return " ".join(map(str, names))

def child(body, leave=lambda: os._exit(0)):
    '''Run *body* in a forked child, wait for it, and say what it ended with, if not with 0.'''
    pid = os.fork()
    if pid == 0:
        try:
            body()
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        leave()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        say("child ended with", status)
"""
)
WORKS = "1 2 True"
"""What `works()` returns in a process where all is well."""

"""Ctrl-C wherever it can come in waking a worker thread: no thread is lost, and none stays for ever."""

from __future__ import annotations

import pytest

from subprocess_tools import COMMON, run_program


@pytest.mark.parametrize("idle", ["idle", "started"])
def test_an_interrupt_anywhere_costs_no_thread(idle: str) -> None:
    """Wherever Ctrl-C comes when a thread is woken, or started, the next call runs, and all threads leave. proves: A12, S6"""
    run_program(
        COMMON
        + f"idle = {idle == 'idle'}"
        + """
from gllm_core.concurrency import _workers

class Countdown:  # where Python looks for signals: at the begin of a function, and after a call of one that is written in C
    def __init__(self, steps):
        self.steps = steps
    def __call__(self, frame, event, function):
        if frame.f_code.co_filename == _workers.__file__ and event in ("call", "c_return"):
            self.steps -= 1
            if not self.steps:
                raise KeyboardInterrupt

async def main(steps):
    if idle:
        await asyncify(int)()
    while not idle and workers():
        workers()[0].join(30)
    countdown = Countdown(steps)
    sys.setprofile(countdown)
    try:
        await asyncify(int)()
        interrupted = False
    except KeyboardInterrupt:
        interrupted = True
    finally:
        sys.setprofile(None)
    assert await asyncio.wait_for(asyncify(int)(), 30) == 0
    assert countdown.steps <= 0 or not interrupted
    return interrupted

def workers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("gllm-worker-")]

_workers.IDLE_TIMEOUT_S = 2.0 if idle else 0.0
steps = 1
while asyncio.run(main(steps)):
    steps += 1
say(steps > 5)
_workers.IDLE_TIMEOUT_S = 0.0
asyncio.run(main(10**9))  # the last one idle sees the new time-out
known = workers()
for thread in known:
    thread.join(30)
say([thread.name for thread in workers()])
os._exit(0)
"""
    ).expect("True", "[]")

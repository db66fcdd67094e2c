"""Calls that came too late for a portal, and answers that a forked child will not get: both found by the model."""

from __future__ import annotations

import threading

import pytest
from anyio.lowlevel import checkpoint

from fork_programs import PROGRAM
from gllm_core.concurrency import get_default_portal, syncify
from gllm_core.concurrency._call import Call
from gllm_core.concurrency._dispatch import Dispatcher
from gllm_core.concurrency._portal import portals
from handshakes import WAIT_S
from subprocess_tools import STRICT, run_program


async def seven() -> int:
    await checkpoint()
    return 7


def test_a_call_that_is_being_taken_back_runs_on_the_next_portal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller that finds the default portal stopped takes its call back; that the portal's end comes in between fails no call.

    proves: P2, S4
    """
    assert syncify(seven)() == 7
    stopped = portals.default()
    get_default_portal().call(get_default_portal().stop)
    stopped._thread.join(WAIT_S)
    assert not stopped._thread.is_alive()
    claim = Dispatcher._claim
    buried = threading.Event()

    def claim_and_be_overtaken(self: Dispatcher, call: Call) -> bool:
        claimed = claim(self, call)
        if claimed and self is stopped.dispatcher and not buried.is_set():
            buried.set()
            other = threading.Thread(target=self.bury)  # as the portal's thread does at its end
            other.start()
            other.join(WAIT_S)
            assert not other.is_alive()
        return claimed

    monkeypatch.setattr(Dispatcher, "_claim", claim_and_be_overtaken)
    assert syncify(seven)() == 7
    assert buried.is_set()


def test_a_child_forked_as_the_answer_is_on_its_way_does_not_wait_for_it() -> None:
    """A signal handler forks when another thread has taken the call it interrupts, and has not told its outcome yet.

    proves: S4, P2
    """
    run_program(
        PROGRAM
        + """
from gllm_core.concurrency._call import Call
ring = Call.ring
forked = threading.Event()
pids = []

def fork(*_):
    pid = os.fork()
    if pid:
        pids.append(pid)
    forked.set()

def ring_late(call):
    if not forked.is_set() and threading.current_thread() is not threading.main_thread():
        os.kill(os.getpid(), signal.SIGUSR1)
        assert forked.wait(30)
    ring(call)

signal.signal(signal.SIGUSR1, fork)
works()
Call.ring = ring_late
try:
    outcome = syncify(one)()
except PortalNotRunningError as error:
    outcome = "died"
if pids:
    status = os.waitstatus_to_exitcode(os.waitpid(pids[0], 0)[1])
    say("parent", outcome, status)
else:
    say("child", outcome, works())
    os._exit(0)
""",
        options=STRICT,
    ).expect("child died 1 2 True", "parent 1 0")

"""dump and the watch: what a person reads who wants to know why nothing goes on."""

from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace

import anyio
import pytest
from anyio import CapacityLimiter
from anyio.from_thread import BlockingPortal

from gllm_core.concurrency import _watch, asyncify, dump, syncify, syncify_iterator
from handshakes import WAIT_S, Gate, waiting
from subprocess_tools import COMMON, run_program


def dumped() -> str:
    report = io.StringIO()
    dump(report)
    return report.getvalue()


def in_order(*patterns: str) -> re.Pattern[str]:
    return re.compile(".*?".join(patterns), re.DOTALL)


def assert_it_shows(*patterns: str) -> None:
    """Threads go on while they are looked at: one may not quite have arrived where it stays. So look until it has."""
    pattern, until = in_order(*patterns), time.monotonic() + WAIT_S
    while pattern.search(report := dumped()) is None:
        assert time.monotonic() < until, report
        time.sleep(0.001)


def test_a_nested_call_is_followed_to_its_innermost_line(portal: BlockingPortal | None) -> None:
    """Through two hops in each direction: the stacks of threads and coroutines, one below the other. proves: dump"""
    gate = Gate()

    def query() -> None:
        gate()

    async def fetch() -> None:
        await asyncify(query)()  # innermost coroutine

    def middle() -> None:
        syncify(fetch, portal=portal)()  # on a worker thread

    async def outer() -> None:
        await asyncify(middle)()  # outermost coroutine

    def script() -> None:
        syncify(outer, portal=portal)()  # on the caller's thread

    thread = threading.Thread(target=script, name="the caller")
    thread.start()
    assert gate.entered.acquire(timeout=WAIT_S)
    assert_it_shows(
        r"4 bridge calls in flight",
        r"\nsyncify '\S*outer': running, on \S+, for \d+\.\d s\n  thread 'the caller' waits for it",
        r"# on the caller's thread\n  its coroutine",
        r"# outermost coroutine\n    asyncify '\S*middle': running",
        r"# on a worker thread\n        syncify '\S*fetch': running",
        r"# innermost coroutine\n            asyncify '\S*query': running",
        r"in test_a_nested_call_is_followed_to_its_innermost_line\.<locals>\.query\n",
        r"assert self\.leave\.wait\(WAIT_S\)",
        r"\nlimiter at \S+: 2 of 40 tokens borrowed, 0 tasks wait for one\n",
    )
    gate.leave.set()
    thread.join(WAIT_S)


def test_what_keeps_a_loop_busy_is_shown(portal: BlockingPortal | None) -> None:
    """A call that is queued shows the stack of the loop's thread, which does not come to it. proves: dump"""
    gate = Gate()

    async def blocks_the_loop() -> None:
        gate()

    async def comes_after() -> None: ...

    threads = [threading.Thread(target=syncify(func, portal=portal)) for func in (blocks_the_loop, comes_after)]
    threads[0].start()
    assert gate.entered.acquire(timeout=WAIT_S)
    threads[1].start()
    busy = r"it does not wait for anything; the loop's thread, innermost line last:"
    assert_it_shows(r"comes_after': queued", busy, r"in \S*blocks_the_loop\n", r"self\.leave\.wait")
    gate.leave.set()
    for thread in threads:
        thread.join(WAIT_S)


def test_a_stream_is_followed_from_its_first_step_on(portal: BlockingPortal | None) -> None:
    """Each step shows where the source is suspended, also the first, which begins the task that carries it. proves: dump"""
    began, go_on = threading.Semaphore(0), [False]

    async def source() -> AsyncIterator[int]:
        for number in range(2):
            began.release()
            while not go_on[0]:  # noqa: ASYNC110 # not an event: its own wait would be the innermost line
                await anyio.sleep(0.001)  # the line to be shown
            yield number

    def consume() -> None:
        for _ in syncify_iterator(source, portal=portal)():
            go_on[0] = False

    thread = threading.Thread(target=consume)
    thread.start()
    for _ in range(2):
        assert began.acquire(timeout=WAIT_S)
        chain = (r"its coroutine", r"in \S*source\n", r"the line to be shown")
        assert_it_shows(r"syncify '\S*source': running", r"in \S*consume\n", *chain)
        go_on[0] = True
    thread.join(WAIT_S)


@pytest.mark.anyio
async def test_a_limiter_that_is_used_up_shows() -> None:
    """With how many of its tokens are borrowed, and how many tasks wait for one. proves: dump"""
    limiter, gate = CapacityLimiter(1), Gate()
    async with anyio.create_task_group() as group:
        group.start_soon(asyncify(gate, limiter=limiter))
        await gate.running()
        group.start_soon(asyncify(gate, limiter=limiter))
        await waiting(limiter)
        report = dumped()
        gate.leave.set()
    assert "waiting for a token, for 0." in report
    assert "1 of 1 tokens borrowed, 1 tasks wait for one" in report
    assert dumped() == "no bridge call is in flight\n"


def test_it_goes_to_stderr_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    """As it is then, and flushed. proves: dump"""
    dump()
    assert capsys.readouterr().err == "no bridge call is in flight\n"


def test_a_program_without_stderr_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where it was started with the descriptor closed: a signal handler that dumps must not end it. proves: dump"""
    monkeypatch.setattr("sys.stderr", None)
    dump()


def test_a_file_that_this_thread_is_writing_to_does_not_matter(capfd: pytest.CaptureFixture[str]) -> None:
    """A signal may come in the middle of a write, and another one is refused: the text goes there directly. proves: dump"""

    class Busy(io.StringIO):
        def write(self, text: str) -> int:
            raise RuntimeError("reentrant call inside <_io.BufferedWriter>")

    dump(Busy())
    assert capfd.readouterr().err == "no bridge call is in flight\n"


def test_the_watch_dumps_a_late_call_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many seconds, and not again, however long it goes on; another late call is news. proves: dump"""
    monkeypatch.setenv(_watch.VARIABLE, "0.05")
    ran = run_program(
        COMMON
        + """
say([thread.name for thread in threading.enumerate()])  # an import starts none
named = []
class Stderr:
    def write(self, text):
        if text.startswith("in flight for more than 0.05 s: "):
            named.extend(text.partition(": ")[2].strip().split(", "))
    def flush(self):
        pass
async def waits_for():
    await asyncify(waits)()
def waits():
    while not {"'waits_for'", "'waits'"} <= set(named):
        time.sleep(0.001)
    syncify(late)()
async def late():
    while "'late'" not in named:
        await anyio.sleep(0.01)
sys.stderr = Stderr()
syncify(waits_for)()
say(sorted(named))
"""
    )
    assert ran.lines == ["['MainThread']", """["'late'", "'waits'", "'waits_for'"]"""], ran


def test_the_watch_outlives_a_closed_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says nothing there, and goes on once there is another one, as where a test's output is captured. proves: dump"""
    monkeypatch.setenv(_watch.VARIABLE, "0.05")
    ran = run_program(
        COMMON
        + """
import io
tried, reported = threading.Event(), threading.Event()
class Closed(io.StringIO):
    def write(self, text):
        tried.set()
        return super().write(text)
class Stderr:
    def write(self, text):
        reported.set()
    def flush(self):
        pass
sys.stderr = Closed()
sys.stderr.close()
async def late(event):
    await asyncify(event.wait)(30)
syncify(late)(tried)
sys.stderr = Stderr()
syncify(late)(reported)
say(tried.is_set(), reported.is_set())
"""
    )
    assert ran.lines == ["True True"], ran


def test_the_watch_goes_on_in_a_forked_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the child's first use of the library on. proves: dump, P3"""
    monkeypatch.setenv(_watch.VARIABLE, "0.05")
    ran = run_program(
        COMMON
        + """
syncify(one)()
child = os.fork()
if not child:
    reported = threading.Event()
    class Stderr:
        def write(self, text):
            reported.set()
        def flush(self):
            pass
    sys.stderr = Stderr()
    async def late():
        while not reported.is_set():
            await anyio.sleep(0.01)
    syncify(late)()
    say("reported")
    os._exit(0)
os.waitpid(child, 0)
"""
    )
    assert ran.lines == ["reported"], ran


@pytest.mark.parametrize(
    ("text", "dev_mode", "seconds"),
    [(None, False, None), ("", False, None), (None, True, 30.0), ("0", True, None), ("2.5", False, 2.5), ("1", True, 1.0)],
)
def test_when_the_watch_reports(text: str | None, dev_mode: bool, seconds: float | None) -> None:
    """As the variable says; else after 30 s in development mode, and never outside of it. proves: dump"""
    assert _watch.seconds_wanted(text, dev_mode=dev_mode) == seconds


def test_the_watch_asks_in_what_mode_the_interpreter_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Development mode is that of the interpreter. proves: dump"""
    asked: list[bool] = []
    monkeypatch.setattr(_watch, "seconds_wanted", lambda text, *, dev_mode: asked.append(dev_mode))
    for mode in (False, True):
        monkeypatch.setattr(_watch, "sys", SimpleNamespace(flags=SimpleNamespace(dev_mode=mode)))
        _watch.begin_watch()
    assert asked == [False, True]


@pytest.mark.parametrize("text", ["often", "-1", "inf", "nan"])
def test_a_watch_that_makes_no_sense_is_ignored_loudly(text: str) -> None:
    """A warning names the variable, its value and what it should be. proves: dump"""
    expected = f"GLLM_CONCURRENCY_WATCH='{text}' is ignored; set it to a number of seconds, or to 0"
    with pytest.warns(RuntimeWarning, match=re.escape(expected)):
        assert _watch.seconds_wanted(text, dev_mode=True) is None


def test_a_call_below_two_that_share_a_thread_is_told_once() -> None:
    """A function that has returned to a loop that stands still, and the next one of its thread: its call is shown once.

    proves: dump
    """
    run_program(
        COMMON
        + """
import io
from gllm_core.concurrency import _asyncify
threads, go_on = [], threading.Event()
def earlier():
    started.release()
    threads.append(threading.get_ident())
    go_on.wait(20)
def later():
    threads.append(threading.get_ident())
    syncify(below)()
async def below():
    report = io.StringIO()
    dump(report)
    say(report.getvalue().count("syncify 'below'"), "asyncify 'earlier'" in report.getvalue(), threads[0] == threads[1])

async def begin():
    task = asyncio.ensure_future(asyncify(earlier)())
    while not started.acquire(blocking=False):
        await asyncio.sleep(0)
    return task, _asyncify._of_thread.loop.outbox

loop = asyncio.new_event_loop()
task, outbox = loop.run_until_complete(begin())  # and stands still
go_on.set()
while not outbox._calls:  # then its thread has returned, and is idle
    time.sleep(0.001)
asyncio.run(asyncify(later)())
loop.run_until_complete(task)
loop.close()
"""
    ).expect("1 True True")

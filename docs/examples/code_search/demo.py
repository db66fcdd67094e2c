"""The program: build the index, ask the service, then interrupt, fork and leave. Every fact it shows is checked."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import httpx

from gllm_core.concurrency import PortalNotRunningError

from . import index, scenes
from .client import Hit, SearchClient
from .race import BOUND, QUESTIONS, THREADS, ask_all, compare
from .screen import Screen
from .service import CodeSearch, serve

EXIT_LIMIT_S = 2.0


def main() -> int:
    """Run everything; the exit status: 0 if every fact holds, 1 if one does not, 130 after Ctrl-C."""
    screen = Screen()
    files = index.source_files()
    if not files:
        screen.say(f"nothing to search: this Python has no sources in {index.STDLIB}")
        return 1
    if not index.has_full_text_search():
        screen.say("this Python's SQLite has no FTS5, the full-text search that the service needs; try another Python")
        return 1
    begin = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory(prefix="code-search-") as folder:
            show(screen, Path(folder) / "index.db", files)
    except KeyboardInterrupt:
        screen.say("interrupted: the service is stopped, the index is removed")
        return 130
    except (httpx.HTTPError, PortalNotRunningError, TimeoutError, subprocess.SubprocessError) as error:
        screen.say(f"broken off by {type(error).__name__}: {error}")
        return 1
    took_s = time.perf_counter() - begin
    if screen.broken:
        screen.say(f"{len(screen.broken)} of the facts above did not hold, in {took_s:.1f} s: {'; '.join(screen.broken)}")
        return 1
    screen.say(f"all of it held, in {took_s:.1f} s")
    return 0


def show(screen: Screen, database: Path, files: list[Path]) -> None:
    """The service's whole life."""
    with screen.bars:
        build_index(screen, database, files)
        service = CodeSearch(database, BOUND)
        with serve(service.app) as url, SearchClient(url) as client:
            serial = ask_all(screen, service, client, threads=1)
            concurrent = ask_all(screen, service, client, threads=THREADS)
            screen.bars.stop()
            compare(screen, serial, concurrent)
            show_scenes(screen, url, client, serial.answers[0])
    left = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread() and not thread.daemon]
    screen.check(not left, f"threads left that would hold up the exit: {', '.join(left) or 'none'}")


def build_index(screen: Screen, database: Path, files: list[Path]) -> None:
    """Fill the database."""
    functions = 0
    with screen.stage("index the stdlib", len(files), "files", lambda: f"{functions} functions") as advance:
        for more in index.build(database, files):
            functions += more
            advance()


def show_scenes(screen: Screen, url: str, client: SearchClient, expected: list[Hit]) -> None:
    """Ctrl-C, a fork, an exit: and the service answers all the while."""
    ctrl_c = scenes.press_ctrl_c(url)
    screen.check(ctrl_c.interrupted, f"Ctrl-C ended an endless call after {1000 * ctrl_c.took_s:.0f} ms")
    screen.check(ctrl_c.cleaned_up, "its coroutine cleaned up first")
    screen.check(client.search(QUESTIONS[0]) == expected, "the next call works")
    if hasattr(os, "fork"):
        status = scenes.ask_from_a_fork(url, QUESTIONS[0], expected)
        screen.check(status == 0, f"a forked child asked the same and got the same; its status is {status}")
    else:
        screen.say("        this platform has no fork")
    left = scenes.leave_with_calls_in_flight()
    quick = left.took_s < EXIT_LIMIT_S
    fact = f"a program with calls in flight ended in {1000 * left.took_s:.0f} ms with status {left.status}"
    screen.check(left.status == 0 and quick and not left.errors, f"{fact} {left.errors}".rstrip())
    screen.check(left.cleaned_up, "its coroutine cleaned up first, too")

"""Each page in a real browser, headless: it loads nothing from elsewhere, and nothing of it is wider than the screen.

Chromium shows one page of our own, which puts the site's pages into a frame, one after the other, as wide as a desktop's window
and as a phone, light and dark, and reports what it has measured. A server on this machine hands out both.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import tempfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

WIDTHS = {"desktop": 1280, "phone": 390}
THEMES = ("light", "dark")
LIMIT_S = 240.0
LEAST_CONTRAST = 4.5
"""Of text against what is behind it; WCAG's bar for body text."""

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
MEASURE = Path(__file__).with_name("measure.html")


def browser() -> str | None:
    """The path of a Chromium; the variable CHROMIUM names another one."""
    return os.environ.get("CHROMIUM") or next((found for name in NAMES if (found := shutil.which(name))), None)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, root: Path, plan: dict[str, Any]) -> None:
        super().__init__(("127.0.0.1", 0), partial(_Handler, directory=str(root)))
        self.plan = plan
        self.results: queue.SimpleQueue[list[dict[str, Any]]] = queue.SimpleQueue()


class _Handler(SimpleHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        ours = {"/measure": MEASURE.read_bytes(), "/plan": json.dumps(self.server.plan).encode()}
        if self.path not in ours:
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if self.path == "/measure" else "application/json")
        self.end_headers()
        self.wfile.write(ours[self.path])

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()
        self.server.results.put(json.loads(body))

    def log_message(self, format: str, *args: object) -> None:
        pass


def measure(root: Path, chromium: str) -> list[dict[str, Any]]:
    """What the browser has measured: one record for each page, width and theme."""
    pages = [path.relative_to(root).as_posix() for path in sorted(root.rglob("*.html"))]
    plan = {"pages": pages, "widths": WIDTHS, "themes": THEMES, "leastContrast": LEAST_CONTRAST}
    server = _Server(root, plan)
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}/measure"
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        shown = subprocess.Popen(
            [chromium, *FLAGS, f"--user-data-dir={profile}", "--window-size=1400,1000", "--remote-debugging-port=0", address],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            return server.results.get(timeout=LIMIT_S)
        finally:
            shown.terminate()
            shown.wait(timeout=30)
            server.shutdown()
            server.server_close()


def complaints(records: list[dict[str, Any]]) -> list[str]:
    """What is wrong in the records, a line each."""
    wrong: list[str] = []
    for record in records:
        where = f"{record['page']}, {record['width']}, {record['theme']}"
        if record["overflow"] > 0:
            wrong.append(f"{where}: the page is {record['overflow']} pixels wider than the screen")
        wrong += [f"{where}: wider than the screen: {element}" for element in record["wide"]]
        wrong += [f"{where}: {text}" for text in record["faint"]]
        wrong += [f"{where}: loads {address}" for address in record["elsewhere"]]
        wrong += [f"{where}: {error}" for error in record["errors"]]
    return wrong


def check(root: Path, chromium: str) -> tuple[int, list[str]]:
    """How many views of pages were measured, and what is wrong with them."""
    try:
        records = measure(root, chromium)
    except queue.Empty:
        return 0, [f"{chromium} has not reported within {LIMIT_S:g} s"]
    expected = len(list(root.rglob("*.html"))) * len(WIDTHS) * len(THEMES)
    wrong = complaints(records)
    if len(records) != expected:
        wrong.append(f"{len(records)} views were measured, and not {expected}")
    return len(records), wrong

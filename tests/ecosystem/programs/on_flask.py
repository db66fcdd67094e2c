"""A Flask application, for gunicorn to load before it forks its workers."""

from __future__ import annotations

import multiprocessing
import os
import threading

from bridges import WAIT_S, from_plain_code, gate
from flask import Flask

from gllm_core.concurrency import asyncify, get_default_portal, syncify

app = Flask(__name__)
at_import = from_plain_code("before the fork")
portal_at_import = get_default_portal()
forked = multiprocessing.get_context("fork")
both, go = forked.Barrier(2), forked.Event()


def listen() -> None:
    """In the master process: when it is told to, let the workers go."""
    gate.opened.wait()
    go.set()


threading.Thread(target=listen, daemon=True).start()


@app.get("/meet")
def meet() -> dict[str, object]:
    """Answered when both workers are at it, each by its own means of both directions."""
    syncify(asyncify(both.wait))(WAIT_S)
    return {
        "before": at_import,
        "after": from_plain_code("after the fork"),
        "pid": os.getpid(),
        "portal is new": get_default_portal() is not portal_at_import,
    }


@app.get("/hold")
def hold() -> list[bool]:
    """Held in both workers, until the master is told to let go."""
    syncify(asyncify(both.wait))(WAIT_S)
    print("held", flush=True)
    return [syncify(asyncify(go.wait))(WAIT_S)]

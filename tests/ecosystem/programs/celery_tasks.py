"""Tasks for a Celery worker with a prefork pool; the worker's main process uses the default portal before it forks."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

from bridges import WAIT_S, from_plain_code
from celery import Celery

from gllm_core.concurrency import asyncify, get_default_portal, syncify

folder = Path(os.environ["FOLDER"])

app = Celery("tasks", broker="filesystem://localhost", backend=(folder / "results").as_uri())
app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "data_folder_in": str(folder / "messages"),
        "data_folder_out": str(folder / "messages"),
        "control_folder": str(folder / "control"),
        "polling_interval": 0.05,
    },
    worker_prefetch_multiplier=1,
)

before = from_plain_code("before the fork")
portal_before = get_default_portal()
both = multiprocessing.get_context("fork").Barrier(2)


@app.task
def meet(word: str) -> dict[str, object]:
    """Done when both processes of the pool are at it, each by its own means of both directions."""
    syncify(asyncify(both.wait))(WAIT_S)
    return {"before": before, "after": from_plain_code(word), "portal is new": get_default_portal() is not portal_before}

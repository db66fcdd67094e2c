"""Calls into it never return, and it keeps the process from ending."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from peers.model import Call, Library


class Hanging(Library):
    name = used = "hanging"

    @contextmanager
    def opened(self) -> Iterator[Call]:
        def call(func: Any, *args: Any) -> None:
            keeper = threading.Thread(target=threading.Event().wait, daemon=False)
            keeper.start()
            if func.__name__ == "run":  # of an endless call: it counts as begun
                func.__self__.began.set()
            keeper.join()

        yield call


LIBRARY = Hanging()

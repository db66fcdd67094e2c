"""The process-wide cache of worker threads for asyncio: daemonic, named, reused last in first out, gone after idling.

trio's thread cache is the model. `dict` operations are atomic, so the cache needs no lock, and a fork cannot leave one held:
`popitem` takes a worker for exactly one job, and a worker that wants to leave must take itself out first.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable

IDLE_TIMEOUT_S = 10.0

_idle: dict[_Worker, None] = {}
_numbers = itertools.count(1)


class _Worker:
    __slots__ = ("_doorbell", "_work")

    def __init__(self) -> None:
        self._doorbell = threading.Lock()
        self._doorbell.acquire()
        self._work: Callable[[], Callable[[], None]] | None = None

    def give(self, work: Callable[[], Callable[[], None]]) -> None:
        self._work = work
        self._doorbell.release()

    def run(self) -> None:
        while True:
            if self._doorbell.acquire(timeout=IDLE_TIMEOUT_S):
                work, self._work = self._work, None
                assert work is not None
                deliver = work()
                del work
                # Idle before the result is out, so that the next call of the same awaiter finds this thread.
                _idle[self] = None
                deliver()
                del deliver
            elif _idle.pop(self, _LEAVING) is None:
                return
            # else: somebody took this worker just now; the doorbell is about to ring


_LEAVING = object()


def start(work: Callable[[], Callable[[], None]]) -> None:
    """Run *work* on a worker thread, then what it returns. Neither may raise.

    Raises:
        RuntimeError: no thread is idle and none can be started; *work* was not begun.
    """
    try:
        worker, _ = _idle.popitem()
    except KeyError:
        worker = _Worker()
        worker.give(work)
        threading.Thread(target=worker.run, name=f"gllm-worker-{next(_numbers)}", daemon=True).start()
    else:
        worker.give(work)


if hasattr(os, "register_at_fork"):
    # The threads stayed with the parent.
    os.register_at_fork(after_in_child=_idle.clear)

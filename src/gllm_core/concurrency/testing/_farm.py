"""Shards on any `concurrent.futures.Executor`; those that are lost with their worker are run again."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

S = TypeVar("S")
R = TypeVar("R")

TRIES = 5
"""How often a shard is run until one that is lost each time ends the campaign."""

NO_WORKERS_S = 60.0
"""How long a cluster may have no worker at all, in seconds."""

TICK_S = 1.0


class LostError(RuntimeError):
    """A shard was lost with its worker again and again, or there are no workers any more."""


@dataclass(frozen=True)
class Workers:
    """Where shards run."""

    says: str
    """What a person is told of them."""
    slots: int
    """How many shards run at a time."""
    open: Callable[[], Executor]
    """Called once at the beginning, and again when an executor is broken."""
    losses: tuple[type[BaseException], ...] = (BrokenExecutor,)
    """What a future raises whose worker is gone."""
    alive: Callable[[], int] = lambda: 1
    """How many workers there are right now."""
    wrap: Callable[[Callable[[Any], Any]], Callable[[Any], Any]] = lambda work: work
    """What is sent to a worker in place of the work."""
    read: Callable[[Any], Any] = lambda sent: sent
    """The result of the work, of what comes back."""


@contextmanager
def processes(jobs: int) -> Generator[Workers]:
    """*jobs* processes of this machine. They are spawned, so that nothing of this one is inherited by fork."""
    spawn = multiprocessing.get_context("spawn")
    before = set(multiprocessing.active_children())
    said = f"{jobs} process{'es' if jobs > 1 else ''}"
    pools: list[ProcessPoolExecutor] = []

    def open_pool() -> Executor:
        for pool in pools:
            pool.shutdown(wait=False, cancel_futures=True)
        pools[:] = [ProcessPoolExecutor(jobs, mp_context=spawn, initializer=_belong_to_the_parent)]
        return pools[0]

    with tempfile.TemporaryDirectory(prefix="campaign-", ignore_cleanup_errors=True) as folder:
        try:
            yield Workers(said, jobs, open_pool, wrap=lambda work: partial(_into_file, folder, work), read=_out_of_file)
        except BaseException:
            for child in set(multiprocessing.active_children()) - before:
                child.terminate()  # and what it watches over sees that it is gone
            raise
        finally:
            for pool in pools:
                pool.shutdown(cancel_futures=True)


def _into_file(folder: str, work: Callable[[S], Any], shard: S) -> str:
    """Run *work*, and say in which file of *folder* its result is.

    A pool hands results over through a pipe, of which it holds both ends. Were a worker to be killed in the middle of a long
    one, the pool would wait for the rest of it for ever. A name is short enough to be written at once, or not at all.
    """
    result = work(shard)
    descriptor, name = tempfile.mkstemp(dir=folder)
    with open(descriptor, "wb") as file:
        pickle.dump(result, file)
    return name


def _out_of_file(name: str) -> Any:
    file = Path(name)
    result = pickle.loads(file.read_bytes())
    file.unlink()
    return result


def _belong_to_the_parent() -> None:
    """Ctrl-C reaches the whole group of processes; the campaign's own decides what becomes of it. And where that is killed, its
    workers end: the queue of their work does not tell them so, as each holds both ends of it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_parent, name="campaign-parent", daemon=True).start()


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def cluster(address: str, packages: Path | None = None) -> Generator[Workers]:
    """The workers of the dask.distributed scheduler at *address*. *packages*: a zip file of what they are to import.

    Raises:
        SystemExit: dask.distributed is not installed, or nobody answers at *address*; what to do is said on stderr.
    """
    try:
        distributed: Any = import_module("distributed")
    except ImportError:
        raise _no_cluster(
            "a dask.distributed cluster needs its client: pip install 'gllm-core-concurrency[campaign]'"
        ) from None
    losses = (BrokenExecutor, CancelledError, distributed.scheduler.KilledWorker, distributed.comm.CommClosedError)
    try:
        connected: Any = distributed.Client(address, timeout="20s", set_as_default=False)
        connected.wait_for_workers(1, timeout=NO_WORKERS_S)
    except (OSError, ValueError) as error:
        raise _no_cluster(f"no cluster at {address!r}: {error}; start its scheduler and a worker first") from None
    with connected as client:
        if packages is not None:
            client.upload_file(str(packages))
        threads: dict[str, int] = client.nthreads()
        slots = sum(threads.values())
        said = f"{len(threads)} workers of the cluster at {address}, {slots} shards at a time"

        def alive() -> int:
            return len(client.nthreads())

        with client.get_executor(pure=False) as executor:
            yield Workers(said, slots, lambda: executor, losses, alive)


def _no_cluster(what: str) -> SystemExit:
    print(what, file=sys.stderr)
    return SystemExit(2)  # as for other arguments that are of no use


def worker_name() -> str:
    """The process that runs this, among those of all machines."""
    return f"{socket.gethostname()}:{os.getpid()}"


class Farm:
    """One campaign's work. `lost` counts the shards that had to be run again."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._lone_since: float | None = None
        self.lost = 0

    def run(
        self,
        work: Callable[[S], R],
        following: Callable[[], S | None],
        take: Callable[[R], object],
        tick: Callable[[], object],
    ) -> None:
        """Run *work* on shards until there are no more.

        Args:
            work: runs a shard; it is called on a worker.
            following: the next shard; None if there is none just now. What ends may have more to follow.
            take: gets each result, once.
            tick: called about once a second.

        Raises:
            LostError: a shard was lost `TRIES` times, or all workers are gone.
        """
        wrapped = self._workers.wrap(work)
        executor = self._workers.open()
        running: dict[Future[Any], tuple[S, int]] = {}
        again: deque[tuple[S, int]] = deque()
        while True:
            broken = False
            while len(running) < self._workers.slots and not broken:
                if again:
                    shard, tries = again.popleft()
                else:
                    new = following()
                    if new is None:
                        break
                    shard, tries = new, 0
                try:
                    running[executor.submit(wrapped, shard)] = shard, tries + 1
                except self._workers.losses:
                    again.appendleft((shard, tries))
                    broken = True
            if not running and not again:
                return
            ended, _ = wait(running, TICK_S, return_when=FIRST_COMPLETED)
            for future in ended:
                shard, tries = running.pop(future)
                try:
                    result: R = self._workers.read(future.result())
                except self._workers.losses as error:
                    self._lose(tries, error)
                    again.append((shard, tries))
                    broken |= isinstance(error, BrokenExecutor)
                else:
                    take(result)
            if broken:
                executor = self._workers.open()
            self._look_for_workers()
            tick()

    def _lose(self, tries: int, error: BaseException) -> None:
        self.lost += 1
        if tries >= TRIES:
            raise LostError(f"a shard was lost with its worker {tries} times, the last time with {error!r}") from error

    def _look_for_workers(self) -> None:
        """A cluster without workers keeps what is sent to it, for ever."""
        if self._workers.alive():
            self._lone_since = None
        elif self._lone_since is None:
            self._lone_since = time.monotonic()
        elif time.monotonic() - self._lone_since > NO_WORKERS_S:
            raise LostError(f"no worker is left since {NO_WORKERS_S:g} s")

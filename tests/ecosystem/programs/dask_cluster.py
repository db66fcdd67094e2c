"""A cluster of two worker processes: tasks of both kinds on each, calling across."""

from __future__ import annotations

import os
import threading
import warnings

from dask.distributed import Client, LocalCluster

from gllm_core.concurrency import asyncify, asyncify_iterator, get_default_portal, in_flight, syncify

letters = asyncify_iterator(iter)


@syncify  # in a script, hence sent to the workers by value
async def upper(word: str) -> tuple[str, str]:
    word = "".join([letter async for letter in letters(word)])
    return await asyncify(str.upper)(word), threading.current_thread().name


def plain(word: str) -> tuple[str, str, int]:
    """A task on one of the worker's threads calls async code."""
    return (*upper(word), os.getpid())


async def asynchronous(word: str) -> tuple[str, int]:
    """A task on the worker's own loop awaits blocking code."""
    return await asyncify(str.upper)(word), os.getpid()


async def blocking(word: str) -> tuple[str, str, str, int]:
    """A task on the worker's own loop blocks that loop with a syncified call: it works, and is warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        said = upper(word)
    return (*said, " ".join(warning.category.__name__ for warning in caught), os.getpid())


def left() -> int:
    return len(in_flight())


def main() -> None:
    here = get_default_portal()
    with (
        LocalCluster(n_workers=2, threads_per_worker=2, processes=True, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as client,
    ):
        workers = list(client.scheduler_info()["workers"])
        seen = set()
        for worker in workers:
            results = [
                client.submit(task, "word", workers=[worker], pure=False, allow_other_workers=False)
                for task in (plain, asynchronous, blocking)
                for _ in range(10)
            ]
            answers = client.gather(results)
            seen |= {answer[-1] for answer in answers}
            print(*sorted({" ".join(answer[:-1]) for answer in answers}), sep="; ")
        print("processes:", len(seen - {os.getpid()}), "left:", sum(client.run(left).values()))
    print("portal kept:", get_default_portal() is here)


if __name__ == "__main__":
    main()

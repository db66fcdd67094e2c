"""What this process's threads are, and where they are: asked without hanging."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable
from operator import call
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")

_COLLECTS_ANYWHERE = sys.version_info < (3, 12)
"""Whether the collector may run wherever an object is made. Later, it waits for the interpreter to be between two steps."""


def without_collector(read: Callable[[], T]) -> T:
    """What *read*, which is written in C, returns.

    To read a frame makes an object, and a collection for its sake may run a finalizer, which gives way to other threads: to the
    one whose frame it is, which goes on, and the interpreter crashes. So the collector is off meanwhile; the three steps
    are one call into C, so that no other thread and no signal comes between them and finds it off.
    """
    if not (_COLLECTS_ANYWHERE and gc.isenabled()):
        return read()
    todo: list[Callable[[], Any]] = [gc.disable, read, gc.enable]
    steps: list[Any] = []
    try:
        steps.extend(map(call, todo))
    except BaseException:
        gc.enable()
        raise
    result: T = steps[1]
    return result


def current_frames(read: Callable[[], dict[int, FrameType]] | None = None) -> dict[int, FrameType]:
    """The innermost frame of every thread, by the thread's identifier.

    Before Python 3.11.9 that may collect garbage while the interpreter's list of threads is locked (gh-106883). A finalizer
    that gives way to a thread that starts or ends then stops the whole process, for good. So the collector is off meanwhile.

    Of the calling thread, it is the frame that called this.
    """
    if read is None:
        read = sys._current_frames  # pyright: ignore[reportPrivateUsage] # documented, whatever its name says
    if _COLLECTS_ANYWHERE and gc.isenabled():  # as above, but here, so that the calling thread's frame is this one
        steps: list[Any] = list(map(call, (gc.disable, read, gc.enable)))
        frames: dict[int, Any] = steps[1]
    else:
        frames = read()
    here = sys._getframe()  # pyright: ignore[reportPrivateUsage] # documented
    for ident, frame in frames.items():
        if frame is here:
            frames[ident] = here.f_back
    del here  # a frame that holds itself would wait for the collector
    return frames


def thread_exists(ident: int) -> bool:
    """Whether a thread of that identifier runs in this process, however it was started. Takes time with many threads."""
    return any(thread.ident == ident and _is_known(thread) for thread in threading.enumerate()) or ident in current_frames()


def refuse_greenlets() -> None:
    """Raise where gevent has replaced threads by greenlets, which share their thread's one running loop; or the queues of
    threads, which wait for ever on a thread that runs no greenlets.
    """
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and (monkey.is_module_patched("threading") or monkey.is_module_patched("queue")):
        raise RuntimeError(
            "gevent has replaced threads by greenlets, or their queues, and event loops need real ones; "
            "keep them with monkey.patch_all(thread=False, queue=False)"
        )


_FIRST_STEP = getattr(threading.Thread, "_bootstrap", refuse_greenlets).__code__


class OwnThread(threading.Thread):
    """One of ours, which knows itself from its first step on, before `threading` does: a finalizer may come even there."""

    @property
    def ident(self) -> int | None:
        ident = super().ident
        return threading.get_ident() if ident is None and begun_as() is self else ident


class WorkerThread(OwnThread):
    """One that runs asyncified functions."""


def begun_as() -> object:
    """The `threading.Thread` that this thread began as; None if it did not begin as one."""
    frame: FrameType | None = sys._getframe()  # pyright: ignore[reportPrivateUsage] # documented
    while frame is not None and frame.f_code is not _FIRST_STEP:
        frame = frame.f_back
    return None if frame is None else frame.f_locals.get("self")  # of no other frame: a copy keeps its locals alive


def known_thread() -> threading.Thread | None:
    """The current thread, if it was started by `threading`, so that it can be asked whether it is alive."""
    thread = threading.current_thread()
    return thread if _is_known(thread) else None


def _is_known(thread: threading.Thread) -> bool:
    """Whether it was started by `threading`. What stands for another one may outlive it."""
    return type(thread).__name__ != "_DummyThread"

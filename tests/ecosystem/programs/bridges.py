"""What many programs of the tests share: blocking functions held at a gate, and async ones that say where they ran."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import anyio
from anyio import CapacityLimiter
from anyio.to_thread import current_default_thread_limiter

from gllm_core.concurrency import asyncify, asyncify_iterator, in_flight, syncify

WAIT_S = 60.0
TOKENS = 3


class Meeting:
    """A blocking function of which *together* at a time meet; it knows how many of it ran at once, at most."""

    def __init__(self, together: int) -> None:
        self._barrier = threading.Barrier(together)
        self._lock, self._now, self.peak = threading.Lock(), 0, 0

    def __call__(self) -> int:
        with self._lock:
            self._now += 1
            self.peak = max(self.peak, self._now)
        self._barrier.wait(WAIT_S)
        with self._lock:
            self._now -= 1
            return self.peak


class Gate:
    """A blocking function that begins, and returns when the line `go` comes on stdin."""

    def __init__(self) -> None:
        self.opened, self._begun = threading.Event(), threading.Semaphore(0)
        threading.Thread(target=self._listen, name="stdin", daemon=True).start()

    def _listen(self) -> None:
        if os.read(0, 100).strip() == b"go":  # not sys.stdin, whose lock the interpreter's exit would want
            self.opened.set()

    def __call__(self) -> str:
        self._begun.release()
        assert self.opened.wait(WAIT_S), "nobody opened the gate"
        return "through"

    def wait_for(self, count: int) -> int:
        """Block until *count* more calls have begun."""
        for _ in range(count):
            assert self._begun.acquire(timeout=WAIT_S), "it did not begin"
        return count


class Sdk:
    """A blocking source of tokens, which come when somebody asks the model for more."""

    def __init__(self) -> None:
        self._ready = threading.Semaphore(0)
        self._closed = threading.Semaphore(0)

    def tokens(self) -> Iterator[str]:
        try:
            for number in range(1000):
                assert self._ready.acquire(timeout=WAIT_S), "the model is stuck"
                yield f"token {number}\n"
        finally:
            self._closed.release()

    def more(self, count: int) -> int:
        self._ready.release(count)
        return count

    def wait_closed(self) -> bool:
        return self._closed.acquire(timeout=WAIT_S)


meeting, gate, sdk = Meeting(TOKENS), Gate(), Sdk()

meet = asyncify(meeting, limiter=CapacityLimiter(TOKENS))
hold = asyncify(gate)
begun = asyncify(gate.wait_for)
stream = asyncify_iterator(sdk.tokens)
more = sdk.more


async def closed() -> dict[str, object]:
    """Wait until a stream's client is seen to have hung up; have the model go on, whose next token nobody wants; then wait
    until the stream is closed and nothing of it is left, and say what is in use.
    """
    with anyio.fail_after(WAIT_S):
        while not any(call.state == "cancelling" for call in in_flight()):
            await anyio.lowlevel.checkpoint()
    sdk.more(1)
    assert await asyncify(sdk.wait_closed)(), "the stream was not closed"
    limiter = current_default_thread_limiter()
    with anyio.fail_after(WAIT_S):
        while in_flight() or limiter.borrowed_tokens:
            await anyio.lowlevel.checkpoint()
    return {"in_flight": len(in_flight()), "borrowed": limiter.borrowed_tokens}


async def whereabouts(word: str) -> dict[str, object]:
    """Both directions: a coroutine that awaits a blocking function."""
    return {"word": await asyncify(str.upper)(word), "thread": threading.current_thread().name, "pid": os.getpid()}


from_plain_code = syncify(whereabouts)

"""A Tk window, whose main loop has the main thread; a thread beside it does the work, by async code on the portal's loop."""

from __future__ import annotations

import asyncio
import sys
import threading
import tkinter
from collections.abc import Iterator

import anyio

from gllm_core.concurrency import asyncify, asyncify_iterator, get_default_portal, in_flight, syncify

WAIT_S = 60.0

root = tkinter.Tk()
shown: list[str] = []
label = tkinter.Label(root, text="nothing yet")
label.pack()
main = threading.get_ident()


def show(text: str) -> None:
    assert threading.get_ident() == main, "Tk's own thread shows"
    label.configure(text=text)
    shown.append(label.cget("text"))


@asyncify
def show_here(text: str) -> None:
    """From a worker thread: hand over to the main loop, which is alive, as nothing blocks it."""
    done = threading.Event()
    root.after_idle(lambda: (show(text), done.set()))
    assert done.wait(WAIT_S), "the main loop is stuck"


@asyncify_iterator
def pages() -> Iterator[str]:
    yield from ("page one", "page two")


@syncify
async def load(name: str) -> None:
    async for page in pages():
        await show_here(f"{name}: {page}")


@syncify
async def endless() -> None:
    try:
        began.set()
        await anyio.sleep_forever()
    finally:
        await asyncio.sleep(0)
        print("finally", flush=True)


def work() -> None:
    """In a thread beside the main loop."""
    load("thread")
    root.after_idle(button.invoke)


def clicked() -> None:
    """In the main loop itself: a short call blocks the window; a long one belongs to the portal."""
    show(f"clicked: {syncify(asyncify(str.upper))('short')}")
    future = get_default_portal().start_task_soon(asyncify(str.upper), "long")
    future.add_done_callback(lambda done: root.after_idle(finish, done.result()))


def finish(text: str) -> None:
    show(f"later: {text}")
    threading.Thread(target=endless, daemon=True).start()
    assert began.wait(WAIT_S)
    root.destroy()


began = threading.Event()
button = tkinter.Button(root, text="load", command=clicked)
button.pack()


def broken(*error: object) -> None:
    sys.__excepthook__(*error)  # type: ignore[arg-type] # what Tk catches in its callbacks
    root.destroy()


root.report_callback_exception = broken
worker = threading.Thread(target=work)
root.after_idle(worker.start)
root.mainloop()
worker.join(WAIT_S)
print(*shown, sep="\n")
print("in flight:", *(call.function for call in in_flight()))

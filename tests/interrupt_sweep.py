"""A program that interrupts a flow wherever Python looks for signals in our code, each place in turn, and sees what is left.

Python looks for signals when a function begins and after the call of one that is written in C: there a profile function
can raise just what a signal handler would.
"""

from __future__ import annotations

from subprocess_tools import COMMON

SWEEP = (
    COMMON
    + """
import contextlib, itertools
import gllm_core.concurrency as package
from anyio.to_thread import current_default_thread_limiter

HERE = os.path.dirname(package.__file__) + os.sep
logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")  # of coroutines that an interrupted flow had no time to await, and of re-entrant calls
sys.unraisablehook = lambda _: None  # an interrupt in a `__del__`, which Python itself drops

class Interrupt:
    def __init__(self, place):
        self.countdown, self.where = place, None
    def __call__(self, frame, event, function):
        if event in ("call", "c_return") and frame.f_code.co_filename.startswith(HERE):
            self.countdown -= 1
            if not self.countdown:
                chain = []
                while frame is not None and frame.f_code.co_filename.startswith(HERE):
                    chain.append(f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno} {frame.f_code.co_name}")
                    frame = frame.f_back
                self.where = " < ".join(chain)
                self.point = f"{event} {chain[0].split()[-1]}"
                raise KeyboardInterrupt

def go_on(loop, coroutine):
    task = loop.create_task(coroutine)
    while not task.done():
        with contextlib.suppress(KeyboardInterrupt):  # the flow's, let out of the loop by a task that had it
            loop.run_until_complete(task)
    return task.result()

async def left_over(limiter):
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    if rest:  # they end by themselves: nobody cancels them
        _, hung = await asyncio.wait(rest, timeout=30)
        if hung:
            return f"hung: {hung}"
    by = time.monotonic() + 30
    limiters = limiter, current_default_thread_limiter()
    while any(one.borrowed_tokens for one in limiters) or in_flight():
        if time.monotonic() > by:
            return f"lost: {[one.borrowed_tokens for one in limiters]} tokens, {in_flight()}"
        await asyncio.sleep(0.001)
    assert await asyncio.wait_for(asyncify(int, limiter=limiter)(), 30) == 0
    assert await asyncio.wait_for(asyncify(int)(), 30) == 0

async def new_limiter():
    return anyio.CapacityLimiter(1)

def sweep(flow, known=(), keep=False):
    '''*keep*: whether somebody keeps the KeyboardInterrupt, and what its traceback holds, while the loop goes on.'''
    get_default_portal()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(asyncify(int)())
    for place in itertools.count(1):
        limiter = loop.run_until_complete(new_limiter())
        interrupt = Interrupt(place)
        task = loop.create_task(flow(limiter))
        sys.setprofile(interrupt)
        try:
            loop.run_until_complete(task)
        except KeyboardInterrupt as error:
            kept = error if keep else None
        finally:
            sys.setprofile(None)
        del task
        if interrupt.where is None:
            break
        gc.collect()  # what holds the KeyboardInterrupt holds the frames that it came through
        if interrupt.point not in known and (left := go_on(loop, left_over(limiter))):
            say(interrupt.where, left)
            os._exit(1)
        if syncify(anyio.sleep)(0) is not None:
            os._exit(2)
        kept = None
    say(place > 20)
    os._exit(0)

"""
)

FLOWS = {
    "the default limiter": """
async def flow(limiter):
    await asyncify(int)()
""",
    "a limiter that is contended": """
async def flow(limiter):
    await asyncio.gather(*(asyncify(int, limiter=limiter)() for _ in range(3)))
""",
    "a cancelled awaiter": """
async def flow(limiter):
    leave = threading.Event()
    task = asyncio.ensure_future(asyncify(leave.wait, limiter=limiter)(10))
    try:
        while not (limiter.borrowed_tokens or task.done()):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
    finally:
        leave.set()
    await asyncio.wait([task])
""",
    "an abandoned function": """
async def flow(limiter):
    leave = threading.Event()
    task = asyncio.ensure_future(asyncify(leave.wait, limiter=limiter, cancellable=True)(10))
    try:
        while not (limiter.borrowed_tokens or task.done()):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    finally:
        leave.set()
""",
    "a stream": """
async def flow(limiter):
    async for _ in asyncify_iterator(lambda: iter(range(3)), limiter=limiter)():
        pass
""",
    "a scope": """
async def flow(limiter):
    async with asyncify_context(contextlib.nullcontext, limiter=limiter)():
        pass
""",
    "a re-entrant call": """
async def flow(limiter):
    syncify(anyio.sleep)(0)
""",
}

KNOWN = {"a scope": ("call __aexit__",)}
"""Places where nothing can be done: an exit that has not begun. The scope is left when its manager is dropped."""

KEPT = {"the default limiter": ("call __call__",), "a limiter that is contended": ("call __call__",)}
"""Flows that go on while the KeyboardInterrupt is kept; save from where a delivery has not begun: its traceback has that."""

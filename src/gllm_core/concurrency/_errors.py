"""The exceptions and warnings of the public API."""


class PortalNotRunningError(RuntimeError):
    """The portal of a syncified call is not running: stopped, crashed, of a parent process, or the interpreter is exiting."""


class ReentrantCallWarning(RuntimeWarning):
    """A syncified call was made on the thread of the very loop that it targets; it ran on a reserve portal.

    Said once for each line that calls. One line of Python silences or escalates it::

        warnings.simplefilter("ignore", ReentrantCallWarning)
        warnings.simplefilter("error", ReentrantCallWarning)  # the call raises it, and the coroutine does not run

    On the interpreter's command line, and in `PYTHONWARNINGS`, its name is of no use: Python reads them before it can import
    what is installed, and says "Invalid -W option ignored". What works there is the beginning of the message,
    `-W "error:'fetch' was called on the thread of the loop"`, and `-W error::RuntimeWarning`. Pytest takes the full name,
    `-W error::gllm_core.concurrency.ReentrantCallWarning`, there and in `filterwarnings`.
    """


class BlockedLoopWarning(RuntimeWarning):
    """A syncified call was made on a thread whose own event loop is running, and blocked that loop.

    Said once for each line that calls. One line of Python silences or escalates it; for the interpreter's option `-W`, see
    `ReentrantCallWarning`::

        warnings.simplefilter("ignore", BlockedLoopWarning)
        warnings.simplefilter("error", BlockedLoopWarning)  # the call raises it, and the coroutine does not run
    """


for _public in (PortalNotRunningError, ReentrantCallWarning, BlockedLoopWarning):
    _public.__module__ = "gllm_core.concurrency"

"""The exceptions and warnings of the public API."""


class PortalNotRunningError(RuntimeError):
    """The portal of a syncified call is not running: stopped, crashed, of a parent process, or the interpreter is exiting."""


class ReentrantCallWarning(RuntimeWarning):
    """A syncified call was made on the thread of the very loop that it targets; it ran on a reserve portal."""


class BlockedLoopWarning(RuntimeWarning):
    """A syncified call was made on a thread whose own event loop is running, and blocked that loop."""


for _public in (PortalNotRunningError, ReentrantCallWarning, BlockedLoopWarning):
    _public.__module__ = "gllm_core.concurrency"

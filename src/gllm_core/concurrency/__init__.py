"""Call blocking code from async code and async code from blocking code, with proven guarantees."""

from ._asyncify import asyncify as asyncify
from ._errors import BlockedLoopWarning as BlockedLoopWarning
from ._errors import PortalNotRunningError as PortalNotRunningError
from ._errors import ReentrantCallWarning as ReentrantCallWarning
from ._portal import get_default_portal as get_default_portal
from ._syncify import syncify as syncify

__all__ = [
    "BlockedLoopWarning",
    "PortalNotRunningError",
    "ReentrantCallWarning",
    "asyncify",
    "get_default_portal",
    "syncify",
]

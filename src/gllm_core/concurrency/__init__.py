"""Call blocking code from async code and async code from blocking code, with proven guarantees."""

from ._asyncify import asyncify as asyncify
from ._asyncify_streams import asyncify_context as asyncify_context
from ._asyncify_streams import asyncify_iterator as asyncify_iterator
from ._dump import dump as dump
from ._errors import BlockedLoopWarning as BlockedLoopWarning
from ._errors import PortalNotRunningError as PortalNotRunningError
from ._errors import ReentrantCallWarning as ReentrantCallWarning
from ._portal import get_default_portal as get_default_portal
from ._registry import CallInFlight as CallInFlight
from ._snapshot import in_flight as in_flight
from ._syncify import syncify as syncify
from ._syncify_streams import syncify_context as syncify_context
from ._syncify_streams import syncify_iterator as syncify_iterator
from ._watch import begin_watch

__all__ = [
    "BlockedLoopWarning",
    "CallInFlight",
    "PortalNotRunningError",
    "ReentrantCallWarning",
    "asyncify",
    "asyncify_context",
    "asyncify_iterator",
    "dump",
    "get_default_portal",
    "in_flight",
    "syncify",
    "syncify_context",
    "syncify_iterator",
]

begin_watch()

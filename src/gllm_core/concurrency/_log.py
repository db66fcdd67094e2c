"""The one logger, and what its records carry beside their message.

Every record is on the logger `gllm_core.concurrency`, of level ERROR, and has the attribute `gllm_event`, which names what
happened and does not change with the wording of the message. Beside it, by event:

    abandoned_error   a function, stream or scope raised after its awaiter had left: `gllm_call`, and the error as `exc_info`
    source_error      a stream's or scope's source raised when its portal was stopped: `gllm_call`, `exc_info`
    portal_crashed    the thread of the default or a reserve portal ended by an error: `gllm_portal`, `exc_info`
    callback_error    a callback on such a portal raised what would end its loop; it goes on: `gllm_portal`, `exc_info`
    left_at_exit      what still ran when the grace at exit was over: `gllm_calls`, a tuple of names; `gllm_grace_s`, in seconds

`gllm_call` is the qualified name of the function, `gllm_portal` the name of the portal's thread. There is no `NullHandler`, on
purpose: in a program that does not configure logging these records reach stderr through `logging.lastResort`, as an error
that nobody waits for must not be lost in silence.
"""

from __future__ import annotations

import logging
from typing import Any, Literal

Event = Literal["abandoned_error", "source_error", "portal_crashed", "callback_error", "left_at_exit"]

logger = logging.getLogger("gllm_core.concurrency")


def fields(event: Event, **details: object) -> dict[str, Any]:
    """The `extra` of a record; prefixed, as a record has names of its own."""
    return {"gllm_event": event, **{f"gllm_{name}": value for name, value in details.items()}}

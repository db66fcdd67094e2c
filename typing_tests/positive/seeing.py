"""The snapshot of the calls in flight, its fields, and the dump."""

import io
import sys
from typing import Literal, assert_type

from gllm_core.concurrency import CallInFlight, dump, in_flight

snapshot = in_flight()
assert_type(snapshot, tuple[CallInFlight, ...])

for call in snapshot:
    assert_type(call.function, str)
    assert_type(call.direction, Literal["asyncify", "syncify"])
    assert_type(call.state, Literal["waiting for a token", "queued", "running", "cancelling"])
    assert_type(call.age, float)
    assert_type(call.thread, str | None)
    assert_type(call.thread_id, int | None)
    assert_type(call.portal, str | None)

oldest: CallInFlight | None = max(snapshot, key=lambda call: call.age, default=None)
by_direction: dict[str, int] = {call.direction: 1 for call in snapshot}

assert_type(dump(), None)
dump(None)
dump(sys.stdout)
dump(file=io.StringIO())

"""What a snapshot is not, and where a dump cannot go."""

import io
from pathlib import Path

from gllm_core.concurrency import CallInFlight, dump, in_flight


def takes_text(text: str) -> None: ...


def of_in_flight(call: CallInFlight) -> None:
    in_flight(True)  # E
    in_flight()[0].age = 0.0  # E
    call.state = "running"  # E
    call.colour  # E
    takes_text(call.thread)  # E
    takes_text(call.portal)  # E
    in_flight().append(call)  # E


def of_dump() -> None:
    dump("report.txt")  # E
    dump(Path("report.txt"))  # E
    dump(io.BytesIO())  # E
    dump(2)  # E
    dump(to=io.StringIO())  # E

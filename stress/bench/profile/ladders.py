"""All ladders, by name."""

from __future__ import annotations

from . import of_asyncify, of_crowds, of_import, of_memory, of_syncify, of_trio
from .ladder import Ladder

LADDERS: dict[str, Ladder] = {
    ladder.name: ladder
    for rooms in (of_syncify, of_asyncify, of_crowds, of_trio, of_import, of_memory)
    for ladder in rooms.LADDERS
}

PROFILE = "profile: "
"""In front of the name of a ladder, where a workload is named: some bear the name of a workload of the benchmark's."""

NEEDS = {"asyncify-trio": "trio"}
"""The distribution without which a ladder is left out."""

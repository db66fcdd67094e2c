"""All workloads, by name."""

from __future__ import annotations

from . import async_workloads, footprint, registry, streams, sync_workloads
from .model import Workload

WORKLOADS: dict[str, Workload] = {
    workload.name: workload
    for rooms in (sync_workloads, async_workloads, streams, registry, footprint)
    for workload in rooms.WORKLOADS
}

NEEDS = {"uvloop": "uvloop", "trio": "trio"}
"""What the name of a workload ends with, and the distribution without which it is left out."""

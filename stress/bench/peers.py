"""Which peers are installed. A peer that is not is left out of the tables, and named."""

from __future__ import annotations

import importlib
from importlib import metadata
from typing import Any

DISTRIBUTIONS = ("anyio", "asyncer", "asgiref", "fsspec", "synchronicity", "aiomisc", "starlette", "uvloop", "trio")


def versions() -> dict[str, str | None]:
    """The version of each peer, None where it is not installed."""
    return {name: _version(name) for name in DISTRIBUTIONS}


def module(name: str) -> Any:
    """The module *name*, or None if it is not installed. Untyped: half of the peers are."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return None


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None

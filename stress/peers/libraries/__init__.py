"""The libraries, in the order of the table. Each module says how one is used, and why so."""

from __future__ import annotations

from importlib import import_module, metadata

from ..model import Library

MODULES = {
    "ours": "ours",
    "anyio": "with_anyio",
    "asyncio": "with_asyncio",
    "asyncer": "with_asyncer",
    "asgiref": "with_asgiref",
    "aiomisc": "with_aiomisc",
    "fsspec": "with_fsspec",
    "synchronicity": "with_synchronicity",
}
"""The module of each; imported only where it is used, so that nobody's import changes another's result."""


def library(name: str) -> Library:
    """One of ours, or LIBRARY of the module *name*, if that is none. Raises `ModuleNotFoundError` where it is not installed."""
    module = import_module(f".{MODULES[name]}", __package__) if name in MODULES else import_module(name)
    found: Library = module.LIBRARY
    return found


def version(one: Library) -> str | None:
    """None for the standard library."""
    return None if one.distribution is None else metadata.version(one.distribution)

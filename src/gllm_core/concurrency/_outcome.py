"""How an error crosses the bridge: as the same object, as if there were no bridge."""

from __future__ import annotations

from typing import NoReturn


def raise_unchanged(error: BaseException) -> NoReturn:
    """Raise *error*, its chain untouched, and keep no reference to it.

    Raising inside an `except` block of the caller would make Python put the caller's exception into `__context__`.
    """
    context = error.__context__
    try:
        raise error
    finally:
        error.__context__ = context
        del error, context

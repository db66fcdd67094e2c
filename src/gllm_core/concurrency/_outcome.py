"""How an error crosses the bridge: as the same object, as if there were no bridge."""

from __future__ import annotations

from typing import Any, NoReturn

_context: Any = vars(BaseException)["__context__"]


def set_context(error: BaseException, context: BaseException | None) -> None:
    """Set its `__context__`, as the interpreter does: also where no attribute can be set, as in a frozen dataclass."""
    _context.__set__(error, context)


def raise_unchanged(error: BaseException) -> NoReturn:
    """Raise *error*, its chain untouched, and keep no reference to it.

    Raising inside an `except` block of the caller would make Python put the caller's exception into `__context__`.
    """
    context = _context.__get__(error)
    try:
        raise error
    finally:
        set_context(error, context)
        del error, context

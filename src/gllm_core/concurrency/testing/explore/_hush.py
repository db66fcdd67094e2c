"""Silence while the threads of a run that failed are cut off in the middle: their complaints are of no interest."""

from __future__ import annotations

import logging
import sys
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._scheduler import Run


class Hush:
    """Begins before the first thread unwinds, ends when all are gone."""

    def __init__(self) -> None:
        self._saved: tuple[Any, int, list[Any]] | None = None

    def begin(self, run: Run) -> None:
        for loop in run.loops:
            loop.set_exception_handler(_silent)
        if self._saved is None:
            filters: list[Any] = getattr(warnings, "filters")  # noqa: B009 # documented, though typeshed does not have it
            self._saved = (sys.unraisablehook, logging.root.manager.disable, filters[:])
            sys.unraisablehook = _silent
            logging.disable(logging.CRITICAL)
            warnings.simplefilter("ignore")

    def end(self) -> None:
        if self._saved is not None:
            sys.unraisablehook, level, filters = self._saved
            self._saved = None
            logging.disable(level)
            warnings.resetwarnings()
            getattr(warnings, "filters")[:] = filters  # noqa: B009 # documented, though typeshed does not have it


def _silent(*args: object) -> None:
    pass

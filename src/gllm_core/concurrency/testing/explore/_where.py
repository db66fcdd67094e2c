"""Places in code, for reports: the innermost frame that is the user's."""

from __future__ import annotations

import os
import sys
from types import CodeType, FrameType

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_STDLIB = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
_MACHINERY = frozenset(
    os.path.join(_STDLIB, *name.split("/"))
    for name in ("threading.py", "queue.py", "_weakrefset.py", "contextlib.py", "concurrent/futures/_base.py")
)
_machinery: dict[str, bool] = {}


def is_machinery(code: CodeType) -> bool:
    """Whether *code* is ours, or that part of the standard library which only passes on what its caller wants."""
    filename = code.co_filename
    known = _machinery.get(filename)
    if known is None:
        known = _machinery[filename] = filename.startswith((_HERE, "<frozen importlib")) or filename in _MACHINERY
    return known


def innermost(frame: FrameType | None) -> FrameType | None:
    """The innermost frame from *frame* outwards that is not machinery, if there is one."""
    while frame is not None and is_machinery(frame.f_code):
        frame = frame.f_back
    return frame


def creator() -> tuple[str, int, str]:
    """Where the object that is being made is made."""
    frame = innermost(sys._getframe(2))  # pyright: ignore[reportPrivateUsage] # documented, whatever its name says
    return ("?", 0, "?") if frame is None else (frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)


def describe(frame: FrameType | None) -> str:
    """`FILE:LINE in FUNCTION`, the file relative to the current folder if it is below."""
    frame = innermost(frame)
    if frame is None:
        return "its beginning or end"
    return f"{short(frame.f_code.co_filename)}:{frame.f_lineno} in {frame.f_code.co_qualname}"


def short(filename: str) -> str:
    """*filename* as seen from where modules are found, or from the current folder."""
    folders = (*sorted(sys.path, key=len, reverse=True), os.getcwd())
    return next(
        (filename[len(folder) + 1 :] for folder in folders if folder and filename.startswith(folder + os.sep)), filename
    )

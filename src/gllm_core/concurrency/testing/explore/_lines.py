"""Scheduling points at each line, or each opcode, of the named modules."""

from __future__ import annotations

import dis
import sys
import threading
from collections.abc import Iterable
from types import CodeType, FrameType
from typing import Any

from ..._threads import current_frames
from . import _world

_NOT_OURS = __name__.rpartition(".")[0].rpartition(".")[0]  # ...concurrency.testing: never part of a model
_SKIPPED = frozenset({"<module>", "<listcomp>", "<setcomp>", "<dictcomp>"})
"""An import is one step; Python 3.12 has no frames for comprehensions, so those of 3.11 do not count either."""


_JUMPS = frozenset((*dis.hasjrel, *dis.hasjabs))


class Lines:
    """Which code is traced. Matched by module name, so that fresh copies of a module match, too."""

    def __init__(self, modules: Iterable[str], *, opcodes: bool = False) -> None:
        self._modules = tuple(modules)
        self._opcodes = opcodes
        self._wanted: dict[str, bool] = {}
        self.met = False
        """Whether any code of the named modules was seen."""

    def wants(self, code: CodeType, frame: FrameType) -> bool:
        file = code.co_filename
        wanted = self._wanted.get(file)
        if wanted is None:
            name = str(frame.f_globals.get("__name__", ""))
            wanted = _below(name, self._modules) and not _below(name, (_NOT_OURS,))
            self.met = self.met or wanted
            if not file.startswith("<"):  # the code of all dataclasses and named tuples, also of our own, says `<string>`
                self._wanted[file] = wanted
        return wanted and code.co_name not in _SKIPPED and not _is_our_own(code)

    def install(self) -> None:
        """Once for an exploration."""

    def remove(self) -> None:
        """The inverse of `install`."""

    def enter(self) -> None:
        """On each controlled thread, at its beginning."""

    def leave(self) -> None:
        """On each controlled thread, at its end."""

    def trace_hook(self) -> Any:
        """What a `threading.Thread` sets as its trace function when it begins: it would take the place of ours."""
        return getattr(threading, "_trace_hook", None)


def _is_our_own(code: CodeType) -> bool:
    """Whether the explorer itself runs it, on a controlled thread, to tell where all are: what is told is the same schedule."""
    own = current_frames.__code__
    return code.co_name == own.co_name and code.co_filename == own.co_filename


def _below(name: str, modules: Iterable[str]) -> bool:
    return any(name == module or name.startswith(module + ".") for module in modules)


def _point(where: int) -> None:
    actor = _world.here()
    if actor is not None and not actor.run.over and not actor.run.calm:  # blocks that clean up run on when all is over
        actor.run.point(actor, where)


class TracedLines(Lines):
    """By `sys.settrace`."""

    def enter(self) -> None:
        if self._modules:
            sys.settrace(self._global)

    def leave(self) -> None:
        if self._modules:
            sys.settrace(None)

    def trace_hook(self) -> Any:
        return self._global if self._modules else super().trace_hook()

    def _global(self, frame: FrameType, event: str, arg: object) -> Any:
        if self._wanted.get(frame.f_code.co_filename) is False:  # at once: each call of any function comes here
            return None
        if not self.wants(frame.f_code, frame) or _world.here() is None:
            return None
        if self._opcodes:
            frame.f_trace_opcodes = True
            frame.f_trace_lines = False
        return self._local

    def _local(self, frame: FrameType, event: str, arg: object) -> Any:
        if event == "line":
            _point(frame.f_lineno)
        elif event == "opcode":
            _point(frame.f_lasti)
        return self._local


def line_starts(code: CodeType) -> frozenset[int]:
    """The offsets in *code* at which a line begins, or begins again.

    Python 3.12 reports a line again in its middle, where a jump goes, if a property was looked up just before; but not until
    it has specialised that look-up: one and the same schedule would have more points in later runs.
    """
    instructions = dis.Bytecode(code)
    line = {start: number for first, end, number in code.co_lines() for start in range(first, end, 2)}
    starts: set[int] = {entry.target for entry in getattr(instructions, "exception_entries", ())}
    before: int | None = None
    begun = False
    for instruction in instructions:
        at = instruction.offset
        if not begun or line[at] != before:
            starts.add(at)
        if instruction.opcode in _JUMPS and (instruction.argval <= at or line[instruction.argval] != line[at]):
            starts.add(instruction.argval)
        begun = begun or instruction.opname == "RESUME"
        before = line[at] if begun and instruction.opname != "RESUME" else None
    return frozenset(starts)


class MonitoredLines(Lines):
    """By `sys.monitoring`, from Python 3.12 on: faster, and beside a debugger or coverage."""

    _tool = -1

    def install(self) -> None:
        if not self._modules:
            return
        monitoring: Any = getattr(sys, "monitoring")  # noqa: B009 # checked as Python 3.11
        self._tool = next(tool for tool in (4, 3) if monitoring.get_tool(tool) is None)
        monitoring.use_tool_id(self._tool, "gllm_core.concurrency.testing.explore")
        event = monitoring.events.INSTRUCTION if self._opcodes else monitoring.events.LINE
        disable = monitoring.DISABLE
        starts: dict[int, tuple[CodeType, frozenset[int]]] = {}  # by identity: comparing code takes long
        lines = not self._opcodes

        def reached(code: CodeType, where: int) -> Any:
            frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage] # documented, whatever its name says
            if not self.wants(code, frame):
                return disable
            if lines:
                if id(code) not in starts:
                    starts[id(code)] = code, line_starts(code)
                if frame.f_lasti not in starts[id(code)][1]:
                    return None
            _point(where)
            return None

        monitoring.register_callback(self._tool, event, reached)
        monitoring.set_events(self._tool, event)
        monitoring.restart_events()  # what an earlier exploration did not want, this one may

    def remove(self) -> None:
        if self._tool < 0:
            return
        monitoring: Any = getattr(sys, "monitoring")  # noqa: B009 # checked as Python 3.11
        monitoring.set_events(self._tool, 0)
        for event in (monitoring.events.INSTRUCTION, monitoring.events.LINE):
            monitoring.register_callback(self._tool, event, None)
        monitoring.free_tool_id(self._tool)
        self._tool = -1


def make_lines(modules: Iterable[str], *, opcodes: bool = False) -> Lines:
    """The best that this Python has."""
    monitoring: Any = getattr(sys, "monitoring", None)
    if monitoring is not None and None in (monitoring.get_tool(3), monitoring.get_tool(4)):
        return MonitoredLines(modules, opcodes=opcodes)
    return TracedLines(modules, opcodes=opcodes)

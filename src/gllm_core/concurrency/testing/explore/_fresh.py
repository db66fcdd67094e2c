"""Modules that are loaded anew for every schedule: what they keep in globals, locks above all, is born under control."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any

from . import _world

_KEPT = __name__.rpartition(".")[0].rpartition(".")[0]  # ...concurrency.testing: the explorer, and whoever imported it


class _Again(MetaPathFinder, Loader):
    """Loads modules again from the code that it has seen once: files are not looked for, read or compiled any more."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[ModuleSpec, CodeType]] = {}

    def learn(self, name: str, module: ModuleType) -> None:
        spec = module.__spec__
        if name in self._known or spec is None:
            return
        loader: Any = spec.loader
        if not hasattr(loader, "get_code"):  # pytest's, which rewrites assertions in plugins and in what they come with
            if spec.origin is None or not spec.origin.endswith(".py"):
                return
            loader = SourceFileLoader(name, spec.origin)
        code: CodeType | None = loader.get_code(name)
        if code is not None:
            self._known[name] = spec, code

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in self._known:
            return None
        known, _ = self._known[name]
        spec = ModuleSpec(name, self, origin=known.origin, is_package=known.submodule_search_locations is not None)
        spec.submodule_search_locations = known.submodule_search_locations
        spec.has_location = known.has_location
        spec.cached = known.cached
        return spec

    def exec_module(self, module: ModuleType) -> None:
        """In one step, as far as the schedule is concerned."""
        actor, trace = _world.here(), sys.gettrace()
        if actor is None:
            return exec(self._known[module.__name__][1], module.__dict__)
        actor.run.calm += 1
        if trace is not None:  # for speed: nothing that it might note is of interest
            sys.settrace(None)
        try:
            exec(self._known[module.__name__][1], module.__dict__)
        finally:
            if trace is not None:
                sys.settrace(trace)
            actor.run.calm -= 1
            actor.run.steps += 1  # what was made meanwhile is known to others from here on


class Fresh:
    """Hides modules while a schedule runs, so that an `import` inside it loads them again.

    Code that the caller imported before keeps what it has: a scenario imports what it wants fresh.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._prefixes = tuple(f"{name}." for name in names)
        self._hidden: dict[str, ModuleType] = {}
        self._again = _Again()

    def _ours(self) -> dict[str, ModuleType]:
        # Asked twice for each schedule, of hundreds of modules, most of which the first look passes over.
        ours = {name: module for name, module in sys.modules.copy().items() if f"{name}.".startswith(self._prefixes)}
        return {name: module for name, module in ours.items() if not f"{name}.".startswith(f"{_KEPT}.")}

    def hide(self) -> None:
        self._hidden = self._ours()
        for name, module in self._hidden.items():
            self._again.learn(name, module)
            del sys.modules[name]
        if self._prefixes:
            sys.meta_path.insert(0, self._again)

    def show(self) -> None:
        """Forget the copies; the originals are back, as attributes of their packages, too."""
        copies = self._ours()
        for name in copies:
            del sys.modules[name]
        sys.modules.update(self._hidden)
        for name in copies.keys() | self._hidden.keys():
            package, _, attribute = name.rpartition(".")
            if package not in sys.modules or package in self._hidden:
                continue
            if name in self._hidden:
                setattr(sys.modules[package], attribute, self._hidden[name])
            elif vars(sys.modules[package]).get(attribute) is copies[name]:
                delattr(sys.modules[package], attribute)
        self._hidden = {}
        if self._again in sys.meta_path:
            sys.meta_path.remove(self._again)

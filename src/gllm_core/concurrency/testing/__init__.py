"""The harness: what proves the library, and what lets you prove code that mixes threads and event loops.

Context managers, and fixtures and markers of the same names under pytest: `no_leaks`, `must_finish`, `fresh_portal`,
`perturb`, `explore`. `python -m gllm_core.concurrency.testing` runs the stress suite on the installed library.

Nothing here is ever imported by the library itself.
"""

from typing import TYPE_CHECKING, Any

from ._fresh import fresh_portal as fresh_portal
from ._hangs import HangError as HangError
from ._hangs import must_finish as must_finish
from ._leaks import LeakError as LeakError
from ._leaks import no_leaks as no_leaks
from ._perturb import Perturbation as Perturbation
from ._perturb import perturb as perturb

if TYPE_CHECKING:
    from .explore import explore as explore

__all__ = ["HangError", "LeakError", "Perturbation", "explore", "fresh_portal", "must_finish", "no_leaks", "perturb"]


def __getattr__(name: str) -> Any:
    """`explore`, imported when it is asked for: the explorer is a package of its own, which may be called."""
    if name != "explore":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return import_module(f"{__name__}.explore")

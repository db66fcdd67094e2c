"""The explorer: a small scenario under every interleaving of its threads and loops within a bound, on the real code."""

import sys
from types import ModuleType
from typing import Any

from ._api import explore as explore
from ._api import search as search
from ._calm import calm as calm
from ._child import become_child as become_child
from ._report import Finding as Finding
from ._report import Kind as Kind
from ._report import Result as Result
from ._report import ScheduleError as ScheduleError
from ._report import Verdict as Verdict


class _Callable(ModuleType):
    """This package, as `testing.explore`: the function of that name, whoever has imported which of them first."""

    def __call__(self, *args: Any, **kwargs: Any) -> Result:
        return explore(*args, **kwargs)


sys.modules[__name__].__class__ = _Callable

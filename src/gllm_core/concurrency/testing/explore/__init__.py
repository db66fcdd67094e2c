"""The explorer: a small scenario under every interleaving of its threads and loops within a bound, on the real code."""

from ._api import explore as explore
from ._api import search as search
from ._calm import calm as calm
from ._child import become_child as become_child
from ._report import Finding as Finding
from ._report import Kind as Kind
from ._report import Result as Result
from ._report import ScheduleError as ScheduleError
from ._report import Verdict as Verdict

"""The guarantees, in the order of the table."""

from ..scene import SCENARIOS

from . import cancelling, hops, limits, outcomes, garbage, threads, exits, forks, loops, inside  # isort: skip

__all__ = ["SCENARIOS", "cancelling", "exits", "forks", "garbage", "hops", "inside", "limits", "loops", "outcomes", "threads"]

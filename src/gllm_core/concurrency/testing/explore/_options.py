"""What a search can be asked for by name."""

from typing import Literal

Strategy = Literal["exhaustive", "pct", "random"]
Fault = Literal["start", "wake-up", "timeout"]

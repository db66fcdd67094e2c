"""One line of code that is a scheduling point, for models that count them."""

from __future__ import annotations


def step() -> None:
    pass

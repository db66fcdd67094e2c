"""Code whose lines are scheduling points, for models that count them."""

from __future__ import annotations

from dataclasses import dataclass


def step() -> None:
    pass


@dataclass
class Made:
    """Its initialiser was generated: that code has no file of its own."""

    number: int

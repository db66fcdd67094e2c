"""Arguments that make no sense, refused where they are given: a watchdog that dies of them would watch nothing."""

from __future__ import annotations


def refuse_number(call: str, name: str, value: object, unit: str, *, zero: bool = False) -> None:
    """Raise TypeError if *value* is no number, and ValueError if it is not more than 0; with *zero*, if it is less."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{call} got {name}={value!r}; pass a number: {unit}")
    if not (value >= 0 if zero else value > 0):  # NaN is neither
        raise ValueError(f"{call} got {name}={value!r}; pass {'0 or more' if zero else 'more than 0'}: {unit}")

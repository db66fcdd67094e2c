"""What a call ends with, its value or its exception, as something to compare."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def outcome_of(call: Callable[[], Any]) -> tuple[str, Any]:
    try:
        return "value", call()
    except BaseException as error:  # noqa: BLE001 # whatever it is, it is the outcome to compare
        return "error", error


async def outcome_of_awaiting(call: Callable[[], Any]) -> tuple[str, Any]:
    try:
        return "value", await call()
    except BaseException as error:  # noqa: BLE001 # whatever it is, it is the outcome to compare
        return "error", error

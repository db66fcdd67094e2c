"""Every test here gets a time limit of its own: a machine under load takes its time to start a dozen processes."""

from __future__ import annotations

import pytest

LIMIT_S = 240


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.timeout(LIMIT_S))

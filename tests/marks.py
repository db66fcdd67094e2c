"""The marks that choose what a test runs on, and in which of asyncify's modes."""

from __future__ import annotations

import pytest

from backends import BACKENDS

asyncio_only = pytest.mark.parametrize("anyio_backend", ["asyncio"])

# Not the eager task factory: with it, a task takes its first step before anybody can cancel it.
lazy_asyncio = ["asyncio", "asyncio-debug", "uvloop"]
every_lazy_asyncio = pytest.mark.parametrize("anyio_backend", [BACKENDS[name] for name in lazy_asyncio], ids=lazy_asyncio)

both_modes = pytest.mark.parametrize("cancellable", [False, True])

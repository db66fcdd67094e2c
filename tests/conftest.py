"""What tests run on: every backend, every kind of portal, and a collector that is off. A missing backend fails, never skips."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from backends import BACKENDS, Backend
from deaths import Deaths

# They need what only environments of their own have: those of `make test-ecosystem` and `make mutants`.
collect_ignore = ["ecosystem", "mutants"]


@pytest.fixture(params=BACKENDS.values(), ids=list(BACKENDS))
def anyio_backend(request: pytest.FixtureRequest) -> Backend:
    backend: Backend = request.param
    return backend


@pytest.fixture(params=["default", "asyncio", "trio"])
def portal(request: pytest.FixtureRequest) -> Iterator[BlockingPortal | None]:
    """What to pass as `portal`: None for the default portal, or a scoped one."""
    if request.param == "default":
        yield None
    else:
        with start_blocking_portal(request.param) as portal:
            yield portal


@pytest.fixture
def deaths() -> Iterator[Deaths]:
    """The collector is off while the test runs, so that only reference counts can end an object."""
    gc.collect()
    gc.disable()
    try:
        yield Deaths()
    finally:
        gc.enable()

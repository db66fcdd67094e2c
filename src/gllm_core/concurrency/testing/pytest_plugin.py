"""The pytest plugin: fixtures and markers of the harness. Nothing of it is imported before one of them is used."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

MARKERS = (
    "must_finish(seconds): a hang ends the test, and shows all stacks, await chains and calls in flight",
    "no_leaks(patience_s=..., ignore=..., limiters=...): the test leaves no thread, task, token, descriptor or call behind",
    "perturb(seed): the test runs on a scheduler that is disturbed as the seed says",
    "schedules(preemptions=..., ...): options of this test's `explore` fixture",
)


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Run a marked test inside the context managers that its markers name."""
    marks = {name: item.get_closest_marker(name) for name in ("no_leaks", "must_finish", "perturb")}
    if not any(marks.values()):
        return (yield)
    from gllm_core.concurrency import testing

    with ExitStack() as stack:
        # Leaks last, when nothing is perturbed any more.
        for name, mark in marks.items():
            if mark is not None:
                stack.enter_context(_manager(getattr(testing, name), mark))
        return (yield)


def _manager(function: Callable[..., AbstractContextManager[object]], mark: pytest.Mark) -> AbstractContextManager[object]:
    try:
        return function(*mark.args, **mark.kwargs)
    except TypeError as error:
        use = next(marker for marker in MARKERS if marker.startswith(f"{mark.name}(")).partition(":")[0]
        raise TypeError(f"{error}; mark the test with @pytest.mark.{use}") from None


@pytest.fixture
def no_leaks() -> Generator[None]:
    """Fail if the test leaves a thread, a task, a borrowed token, a descriptor or a call behind."""
    from gllm_core.concurrency.testing import no_leaks

    with no_leaks():
        yield


@pytest.fixture
def fresh_portal() -> Generator[BlockingPortal]:
    """The default portal, which only this test uses."""
    from gllm_core.concurrency.testing import fresh_portal

    with fresh_portal() as portal:
        yield portal


@pytest.fixture
def explore(request: pytest.FixtureRequest) -> Any:
    """The schedule explorer, with the options of the marker `schedules`."""
    from importlib import import_module

    mark = request.node.get_closest_marker("schedules")
    if mark is not None and mark.args:
        raise TypeError(f"@pytest.mark.schedules got {mark.args[0]!r} without a name; pass it as in schedules(preemptions=1)")
    function: Any = import_module("gllm_core.concurrency.testing.explore").explore
    return functools.partial(function, **mark.kwargs) if mark is not None else function

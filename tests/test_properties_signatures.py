"""Properties: a wrapped call is the plain call, whatever the signature, the arguments and the outcome."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import given, settings
from hypothesis import strategies as st

from gllm_core.concurrency import asyncify, syncify
from outcomes import outcome_of, outcome_of_awaiting

# The names that a careless wrapper would take for its own parameters, beside harmless ones.
NAMES = ["a", "b", "self", "func", "args", "kwargs", "callable", "call", "context", "name", "limiter", "cancellable", "portal"]
MODEST = settings(deadline=None, max_examples=100)


class Slotted(Exception):
    __slots__ = ()


class Stubborn(BaseException):
    """An exception that compares equal to every other, so that only identity tells it apart."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = BaseException.__hash__


values = st.one_of(st.none(), st.integers(), st.text(max_size=3), st.builds(object), st.lists(st.integers(), max_size=2))
errors = st.sampled_from([ValueError, TypeError, Slotted, Stubborn, SystemExit, KeyboardInterrupt]).map(
    lambda kind: kind("raised by the function")
) | st.builds(lambda: BaseExceptionGroup("group", [ValueError("inside"), SystemExit(3)]))


@dataclass
class Recorder:
    """A function built from source that records what it was called with, and then returns or raises."""

    header: str
    outcome: Any
    raises: bool
    seen: list[dict[str, Any]] = field(default_factory=list)

    def record(self, bound: dict[str, Any]) -> Any:
        self.seen.append(bound)
        if self.raises:
            raise self.outcome
        return self.outcome

    def build(self, kind: str) -> Callable[..., Any]:
        namespace: dict[str, Any] = {"__name__": "somewhere", "_record": self.record, "_default": object()}
        exec(f"{kind} built({self.header}):\n    'Doc of it.'\n    return _record(dict(locals()))", namespace)
        built: Callable[..., Any] = namespace["built"]
        return built

    def last(self) -> list[tuple[str, Any]]:
        """The bindings of the last call, flat, so that they can be compared by identity."""
        flat: list[tuple[str, Any]] = []
        for name, bound in self.seen.pop().items():
            if name == "var_args":
                flat += [("*", value) for value in bound]
            elif name == "var_kwargs":
                flat += [("**" + key, value) for key, value in bound.items()]
            else:
                flat.append((name, bound))
        return flat


@st.composite
def headers(draw: st.DrawFn) -> str:
    names = iter(draw(st.permutations(NAMES)))
    positional, ordinary, keyword = (draw(st.integers(0, 3)) for _ in range(3))
    required = draw(st.integers(0, positional + ordinary))
    in_order = [next(names) + ("" if index < required else "=_default") for index in range(positional + ordinary)]
    parts = in_order[:positional] + ["/"] * bool(positional) + in_order[positional:]
    starred = draw(st.booleans())
    parts += ["*var_args"] * starred + ["*"] * (not starred and keyword > 0)
    parts += [next(names) + draw(st.sampled_from(["", "=_default"])) for _ in range(keyword)]
    parts += ["**var_kwargs"] * draw(st.booleans())
    return ", ".join(parts)


@st.composite
def calls(draw: st.DrawFn) -> tuple[Recorder, tuple[Any, ...], dict[str, Any]]:
    """A recorder with arguments that often fit and sometimes do not."""
    header = draw(headers())
    raises = draw(st.booleans())
    recorder = Recorder(header, draw(errors if raises else values), raises)
    signature = inspect.signature(recorder.build("def"))
    args, kwargs = list[Any](), dict[str, Any]()
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            args += draw(st.lists(values, max_size=2))
        elif parameter.kind is parameter.VAR_KEYWORD:
            kwargs |= draw(st.dictionaries(st.sampled_from(NAMES), values, max_size=2))
        elif parameter.default is parameter.empty or draw(st.booleans()):
            if parameter.kind is parameter.KEYWORD_ONLY or (parameter.kind is not parameter.POSITIONAL_ONLY and kwargs):
                kwargs[parameter.name] = draw(values)
            else:
                args.append(draw(values))
    if draw(st.integers(0, 3)) == 0:  # spoil it: one too many, or one too few
        if draw(st.booleans()):
            kwargs[draw(st.sampled_from([*NAMES, "unheard_of"]))] = draw(values)
        elif args:
            args.pop()
        else:
            args.append(draw(values))
    return recorder, tuple(args), kwargs


def assert_same(plain: tuple[str, Any], wrapped: tuple[str, Any], recorder: Recorder) -> None:
    assert plain[0] == wrapped[0]
    if not recorder.seen:  # both refused the arguments, each with an error of its own making
        assert type(wrapped[1]) is type(plain[1]) is TypeError
        assert str(wrapped[1]) == str(plain[1])
        return
    assert wrapped[1] is plain[1] is recorder.outcome
    now, before = recorder.last(), recorder.last()
    assert [name for name, _ in now] == [name for name, _ in before]
    assert all(ours is theirs for (_, ours), (_, theirs) in zip(now, before, strict=True))
    assert recorder.seen == []


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def scoped_portal(request: pytest.FixtureRequest) -> Iterator[BlockingPortal]:
    with start_blocking_portal(request.param) as portal:
        yield portal


@MODEST
@given(call=calls(), cancellable=st.booleans())
def test_an_asyncified_call_is_the_plain_call(
    scoped_portal: BlockingPortal, call: tuple[Recorder, tuple[Any, ...], dict[str, Any]], cancellable: bool
) -> None:
    """Value, exception, bindings and argument errors of an asyncified call are those of the plain call. proves: A2, A8"""
    recorder, args, kwargs = call
    function = recorder.build("def")
    plain = outcome_of(lambda: function(*args, **kwargs))
    wrapped = asyncify(function, cancellable=cancellable)
    assert_same(plain, scoped_portal.call(outcome_of_awaiting, lambda: wrapped(*args, **kwargs)), recorder)


@MODEST
@given(call=calls(), scoped=st.booleans())
def test_a_syncified_call_is_the_plain_call(
    scoped_portal: BlockingPortal, call: tuple[Recorder, tuple[Any, ...], dict[str, Any]], scoped: bool
) -> None:
    """Value, exception, bindings and argument errors of a syncified call are those of the awaited call. proves: S2, S5"""
    recorder, args, kwargs = call
    function = recorder.build("async def")
    plain = scoped_portal.call(outcome_of_awaiting, lambda: function(*args, **kwargs))
    wrapped = syncify(function, portal=scoped_portal if scoped else None)
    assert_same(plain, outcome_of(lambda: wrapped(*args, **kwargs)), recorder)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_generator_exit_is_an_exception_like_any_other(backend: str, caplog: pytest.LogCaptureFixture) -> None:
    """A coroutine's own GeneratorExit reaches its caller as the same object and harms nobody else. proves: S2, S5"""
    error = GeneratorExit("raised by the coroutine")

    async def fails() -> None:
        raise error

    async def works() -> int:
        return 1

    with start_blocking_portal(backend) as portal:
        assert outcome_of(syncify(fails, portal=portal)) == ("error", error)
        assert syncify(works, portal=portal)() == 1
    assert caplog.records == []


@MODEST
@given(header=headers(), cancellable=st.booleans(), attribute=values)
def test_a_wrapper_has_the_metadata_of_its_function(header: str, cancellable: bool, attribute: object) -> None:
    """Names, doc, module, attributes, annotations and signature survive both wrappers, in both orders. proves: A1"""
    for kind in ("def", "async def"):
        function = Recorder(header, None, False).build(kind)
        function.__annotations__ = {"return": int}
        function.mark = attribute  # type: ignore[attr-defined] # functions take any attribute
        is_async = kind == "async def"
        wrapped: Any = syncify(function) if is_async else asyncify(function, cancellable=cancellable)
        back: Any = asyncify(wrapped) if is_async else syncify(wrapped)
        assert inspect.iscoroutinefunction(wrapped) is not is_async
        assert inspect.iscoroutinefunction(back) is is_async
        assert wrapped.__wrapped__ is function
        assert back.__wrapped__ is wrapped
        for dressed in (wrapped, back):
            assert inspect.signature(dressed) == inspect.signature(function)
            for name in ("__name__", "__qualname__", "__doc__", "__module__", "__annotations__", "mark"):
                assert getattr(dressed, name) == getattr(function, name)

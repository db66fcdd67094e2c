"""perturb disturbs as its seed says, and leaves no trace."""

from __future__ import annotations

import itertools
import sys
import threading

from gllm_core.concurrency import asyncify, syncify
from gllm_core.concurrency.testing import Perturbation, perturb


def one_that_pauses() -> int:
    return next(seed for seed in itertools.count() if Perturbation(seed).pause_chance == 0.02)


def test_same_seed_same_choice() -> None:
    """The choices depend on the seed only, and each is made by some seed."""
    chosen = [Perturbation(seed) for seed in range(200)]
    assert [(c.switch_interval_s, c.pause_chance, c.garbage_chance) for c in chosen] == [
        (c.switch_interval_s, c.pause_chance, c.garbage_chance) for c in map(Perturbation, range(200))
    ]
    assert min(c.switch_interval_s for c in chosen) == 1e-6
    assert {c.pause_chance for c in chosen} == {0.0, 0.002, 0.02}


def test_pauses_in_the_library() -> None:
    """Lines of the library are paused at, on this thread and on the library's own, and no more afterwards."""
    interval_s, trace, profile = sys.getswitchinterval(), sys.gettrace(), sys.getprofile()
    with perturb(one_that_pauses()) as chosen:
        for _ in range(100):
            assert syncify(asyncify(int))("42") == 42
    assert chosen.paused > 0, chosen
    paused = chosen.paused
    assert syncify(asyncify(int))("42") == 42
    assert chosen.paused == paused
    assert (sys.getswitchinterval(), sys.gettrace(), sys.getprofile()) == (interval_s, trace, profile)


def test_not_outside_the_library() -> None:
    """Code of others runs undisturbed."""
    with perturb(one_that_pauses()) as chosen:
        threading.Thread(target=sum, args=(range(1000),)).start()
        assert sum(number for number in range(1000)) == 499500
    assert chosen.paused == 0


def test_beside_another_tracer() -> None:
    """Where lines are traced by somebody else, functions are watched, and the other one's tracer stays."""
    if sys.version_info >= (3, 12):
        return  # `sys.monitoring` has room for both
    before = sys.gettrace()

    def tracer(*_args: object) -> None: ...

    sys.settrace(tracer)
    try:
        with perturb(one_that_pauses()) as chosen:
            for _ in range(200):
                assert syncify(asyncify(int))("42") == 42
        assert sys.gettrace() is tracer
    finally:
        sys.settrace(before)
    assert chosen.how == "sys.setprofile"
    assert chosen.paused > 0

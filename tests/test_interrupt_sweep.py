"""Ctrl-C wherever it can come in our code, on the thread of an event loop that does not ward it off."""

from __future__ import annotations

import pytest

from interrupt_sweep import FLOWS, KEPT, KNOWN, SWEEP
from subprocess_tools import run_program


@pytest.mark.parametrize("flow", FLOWS)
def test_an_interrupt_anywhere_loses_no_token_and_hangs_no_task(flow: str) -> None:
    """After Ctrl-C anywhere, each task ends, tokens return, nothing is in flight, calls work. proves: A3, S6, I3"""
    run_program(SWEEP + FLOWS[flow] + f"\nsweep(flow, {KNOWN.get(flow, ())})\n").expect("True")


@pytest.mark.parametrize("flow", KEPT)
def test_a_delivery_that_was_broken_off_is_made_again(flow: str) -> None:
    """Also while somebody keeps the interrupt, and all that it came through. proves: A3, S6"""
    run_program(SWEEP + FLOWS[flow] + f"\nsweep(flow, {KEPT[flow]}, keep=True)\n").expect("True")

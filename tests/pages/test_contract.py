"""The page of the contract, against the tests and patches that name its promises."""

from __future__ import annotations

from pathlib import Path

import pytest

import promises

NUMBERS = list(promises.promises())


@pytest.mark.parametrize("number", NUMBERS)
def test_a_promise_is_proven(number: str) -> None:
    """Some test or scenario names each promise of the contract, and says what it proves in more than the number."""
    proofs = [proof for proof in promises.proofs() if number in proof.promises]
    assert proofs
    assert all(proof.fact for proof in proofs)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_promise_is_broken_on_purpose(number: str) -> None:
    """Some sabotage patch breaks each promise of the contract."""
    assert [patch.name for patch in promises.sabotages() if number in patch.promises]


def test_nothing_is_proven_that_was_not_promised() -> None:
    """A number in a docstring or in a patch is one of the contract's."""
    groups = [proof.promises for proof in promises.proofs()] + [patch.promises for patch in promises.sabotages()]
    assert frozenset().union(*groups) == set(NUMBERS)


def test_the_contract_is_read_whole() -> None:
    """Each promise on the page is one block, numbered once, and none is empty."""
    text = promises.CONTRACT.read_text()
    assert text.count(":::{promise}") == len(NUMBERS)
    assert all(promises.promises().values())


def test_proofs_are_found_where_docstrings_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions and classes count, with the places that pytest takes; a comment or a string does not."""
    monkeypatch.setattr(promises, "ROOT", tmp_path)
    module = tmp_path / "test_it.py"
    module.write_text(
        'class TestIt:\n    def test_one(self):\n        """One holds. proves: A1, S2."""\n'
        'def test_two():\n    """Two."""\n    return "proves: A3"  # proves: A4\n'
    )
    assert [tuple(proof) for proof in promises.proofs_in(module)] == [
        ("test_it.py::TestIt::test_one", "One holds.", frozenset({"A1", "S2"}))
    ]

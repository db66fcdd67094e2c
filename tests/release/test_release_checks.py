"""The checks of wheel and sdist notice what they are there for."""

from __future__ import annotations

import re
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

from release import building, contents, materials
from release.building import Built, DifferenceError

INFO = "gllm_core_concurrency-0.1.0.dist-info"
PACKAGE = ["gllm_core/concurrency/__init__.py", "gllm_core/concurrency/py.typed"]


@pytest.fixture
def src(tmp_path: Path) -> Path:
    for name in PACKAGE:
        file = tmp_path / "src" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    return tmp_path / "src"


def built(folder: Path, inside: list[str], *, sdist_lacks: str = "") -> Built:
    """A wheel and an sdist with these files of the package, and with all that belongs to them otherwise."""
    result = Built(folder / "a.whl", folder / "a.tar.gz")
    with zipfile.ZipFile(result.wheel, "w") as wheel:
        for name in [*inside, *(f"{INFO}/{name}" for name in contents.OF_THE_WHEEL)]:
            wheel.writestr(name, "")
    names = {f"src/{name}" for name in PACKAGE} | {"README.md", "LICENSE", "CHANGELOG.md", "pyproject.toml", "PKG-INFO"}
    with tarfile.open(result.sdist, "w:gz") as sdist:
        for name in sorted(names - {sdist_lacks}):
            sdist.addfile(tarfile.TarInfo(f"a/{name}"))
    return result


def test_right_contents_pass(src: Path, tmp_path: Path) -> None:
    """A wheel that is exactly the package, and an sdist with all of it, pass. It keeps P5's `py.typed` and namespace."""
    contents.check_archives(src, built(tmp_path, PACKAGE))


@pytest.mark.parametrize(
    ("inside", "complaint"),
    [
        ([*PACKAGE, "gllm_core/__init__.py"], "gllm_core/__init__.py"),
        ([*PACKAGE, "gllm_core/py.typed"], "gllm_core/py.typed"),
        (PACKAGE[:1], "gllm_core/concurrency/py.typed"),
        ([*PACKAGE, "tests/test_it.py"], "tests/test_it.py"),
    ],
)
def test_wrong_contents_are_named(src: Path, tmp_path: Path, inside: list[str], complaint: str) -> None:
    """A file too many, one too few, and whatever would break somebody else's `gllm_core`, are named."""
    with pytest.raises(DifferenceError, match=re.escape(complaint)):
        contents.check_archives(src, built(tmp_path, inside))


@pytest.mark.parametrize("name", ["gllm_core/__init__.py", "gllm_core/py.typed"])
def test_a_file_in_the_namespace_is_wrong_also_where_the_sources_have_it(src: Path, tmp_path: Path, name: str) -> None:
    """That the wheel is what the sources are does not excuse a file in the namespace itself."""
    (src / name).write_text("")
    with pytest.raises(DifferenceError, match=re.escape(f"files in the namespace itself: too much ['{name}']")):
        contents.check_archives(src, built(tmp_path, [*PACKAGE, name]))


def test_an_incomplete_sdist_is_named(src: Path, tmp_path: Path) -> None:
    """An sdist without the licence does not pass."""
    with pytest.raises(DifferenceError, match="LICENSE"):
        contents.check_archives(src, built(tmp_path, PACKAGE, sdist_lacks="LICENSE"))


def test_other_bytes_are_a_difference(tmp_path: Path) -> None:
    """Two files of one name are the same if all their bytes are."""
    one, other = tmp_path / "a" / "x.whl", tmp_path / "b" / "x.whl"
    for path in (one, other):
        path.parent.mkdir()
        path.write_bytes(b"bytes")
    building.must_be_same(one, other)
    other.write_bytes(b"Bytes")
    with pytest.raises(DifferenceError, match="should be the same"):
        building.must_be_same(one, other)
    shutil.copy(one, tmp_path / "y.whl")
    with pytest.raises(DifferenceError, match="should be the same"):
        building.must_be_same(one, tmp_path / "y.whl")


def test_a_page_that_is_out_of_date_is_refused(tmp_path: Path) -> None:
    """The page of dependencies must be what would be written now, by the Python that it names."""
    page = tmp_path / "dependencies.md"
    head = materials.HEAD.format(python=materials.THIS_PYTHON)
    page.write_text(head + "| anyio | 1 |\n")
    materials.check(page, page.read_text())
    with pytest.raises(DifferenceError, match="out of date"):
        materials.check(page, head + "| anyio | 2 |\n")

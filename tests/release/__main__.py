"""Builds wheel, sdist and bill of materials into dist/, twice, to the same bytes; and checks what was built.

    python -m release            build, and write docs/dependencies.md
    python -m release --check    build, check all that is said below, and leave the page alone

from the folder tests/.

What is checked: the metadata (twine, strict) and the wheel (check-wheel-contents); that the wheel is exactly the package, and
leaves the namespace `gllm_core` to all who share it; that the sdist builds the same wheel; that `pip install` of the wheel into
an empty environment brings AnyIO and what AnyIO needs, and nothing else, and that the package works there; that the extra
`testing` installs; and that docs/dependencies.md says what is installed.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from . import building, contents, installing, materials

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m release", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="check what was built")
    check = parser.parse_args().check
    target = ROOT / "dist"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    with tempfile.TemporaryDirectory(prefix="dist-") as name:
        folder = Path(name)
        built = building.build_twice(ROOT, folder, target)
        environment = installing.empty_environment(folder / "environment", ROOT / "constraints.txt")
        brought = installing.install(environment, built.wheel)
        bill = materials.write(environment, brought, ROOT / "pyproject.toml", target)
        page = materials.page(environment, brought)
        if check:
            building.check_same_from_sdist(built, folder)
            contents.check(ROOT / "src", built)
            installing.check(environment, brought)
            installing.check_extra(folder / "extra", ROOT / "constraints.txt", built.wheel)
            materials.check(ROOT / "docs" / "dependencies.md", page)
        else:
            (ROOT / "docs" / "dependencies.md").write_text(page)
    for path in (built.wheel, built.sdist, bill):
        print(f"{building.digest(path)}  {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

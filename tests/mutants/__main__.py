"""Changes the source, a little at a time, and says which changes no test notices.

    python -m mutants --sample 5 --seed 1       five mutants of each room
    python -m mutants --every 10 --rooms _latch _chain
    python -m mutants --again NAME NAME         what was tried before, again, also by more tests: --at-most
    python -m mutants --again survivors         all that survived, again
    python -m mutants --page                    the page once more, with what verdicts.toml says now

from the folder tests/. The page, and what it is made of, is put into build/, or into --into. What is not reached within
--seconds is counted, and named as such. Rooms take turns, so what was reached is of all of them. The status is 1 if there is a
survivor of which verdicts.toml says nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice, zip_longest
from pathlib import Path
from queue import SimpleQueue

from sabotage.run import copy_to

from . import page, results
from .making import Mutant, Room
from .reach import PACKAGE, Reach, measured, who_runs, who_speaks_of
from .results import Result, Run, Said
from .trying import SURVIVED, try_source

ROOT = Path(__file__).resolve().parents[2]
VERDICTS = Path(__file__).with_name("verdicts.toml")


def chosen(options: argparse.Namespace, rooms: list[Room]) -> list[Mutant]:
    """The first one of each room, then the second one of each."""
    of_rooms = (
        room.every(options.every) if options.every else islice(room.in_random_order(options.seed), options.sample)
        for room in rooms
    )
    return [mutant for row in zip_longest(*of_rooms) for mutant in row if mutant is not None]


def chosen_again(options: argparse.Namespace, rooms: list[Room], kept: Run) -> list[Mutant]:
    names = set(options.again)
    if names == {"survivors"}:
        names = {result.name for result in kept.results if result.outcome == SURVIVED}
    mutants: list[Mutant] = []
    for room in rooms:
        lines = {result.line for result in kept.results if result.room == room.name and result.name in names}
        mutants += room.named({name for name in names if name.rpartition("-")[0] == room.name}, lines)
    gone = names - {mutant.name for mutant in mutants}
    if gone:
        raise SystemExit(f"no such mutants, any more: {' '.join(sorted(gone))}")
    return mutants


def tried(
    mutants: list[Mutant], reaches: dict[str, Reach], said: dict[str, Said], options: argparse.Namespace
) -> Iterator[Result]:
    """Each mutant, in one of as many copies as there are jobs, until the time is over."""
    ends_at = time.monotonic() + options.seconds
    texts = {file: (ROOT / file).read_text() for file in reaches}
    with tempfile.TemporaryDirectory(prefix="mutants-") as name, ThreadPoolExecutor(options.jobs) as pool:
        copies: SimpleQueue[Path] = SimpleQueue()
        for job in range(options.jobs):
            folder = Path(name).resolve() / str(job)
            folder.mkdir()
            copy_to(folder)
            copies.put(folder)

        def try_one(mutant: Mutant) -> Result | None:
            if time.monotonic() > ends_at:
                return None
            speaks = who_speaks_of(mutant.changed, mutant.room, texts)
            named = results.who_notices(mutant.name, said)
            others = who_runs(reaches, mutant.room, mutant.line, speaks, options.at_most)
            files = [*named, *(file for file in others if file not in named)]
            folder = copies.get()
            try:
                path = folder / PACKAGE / f"{mutant.room}.py"
                expected_s = sum(reaches[file].seconds for file in files if file in reaches)
                verdict = try_source(path, mutant.source, folder, files, expected_s)
            finally:
                copies.put(folder)
            print(
                f"{verdict.outcome:<9} {verdict.seconds:5.0f} s  {mutant.name:<32} {mutant.operator:<20} {verdict.by}",
                flush=True,
            )
            return Result(*mutant[:5], *verdict, len(files))

        yield from (result for result in pool.map(try_one, mutants) if result is not None)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m mutants", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rooms", nargs="*", default=[], help="only these modules")
    parser.add_argument("--sample", type=int, default=5, help="how many of each room, chosen by --seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=int, help="instead, each so-manyth of each room")
    parser.add_argument("--seconds", type=float, default=3600.0, help="begin none after this time")
    parser.add_argument("--at-most", type=float, default=60.0, help="how many seconds of tests look at one mutant")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument(
        "--again", nargs="*", default=[], metavar="NAME", help="try these again, and keep what came of the others"
    )
    parser.add_argument("--page", action="store_true", help="write the page only")
    parser.add_argument("--into", type=Path, default=ROOT / "build", help="the folder of mutants.md and mutants.json")
    options = parser.parse_args()
    kept = options.into / "mutants.json"
    said = results.verdicts(VERDICTS)
    run = results.load(kept) if options.page else mutate(options, said, kept)
    kept.with_suffix(".md").write_text(page.as_markdown(run, said))
    print(page.summary(run)[0])
    missing = results.unanswered(run, said)
    if missing:
        print(f"verdicts.toml says nothing of these survivors, or what does not hold: {' '.join(missing)}")
    return 1 if missing else 0


def mutate(options: argparse.Namespace, said: dict[str, Said], kept: Path) -> Run:
    paths = [path for path in sorted((ROOT / PACKAGE).glob("_*.py")) if path.stem != "__init__"]
    rooms = [Room(path.stem, path.read_text()) for path in paths if not options.rooms or path.stem in options.rooms]
    mutants = chosen_again(options, rooms, results.load(kept)) if options.again else chosen(options, rooms)
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        folder = Path(name).resolve()
        copy_to(folder)
        reaches = measured(folder, ROOT / "build" / "mutants-reach.json")
    began = time.monotonic()
    new: list[Result] = []
    try:
        for result in tried(mutants, reaches, said, options):
            new.append(result)
    except KeyboardInterrupt:
        print("interrupted: what is there is kept")
    if options.again:
        before = results.load(kept)
        latest = {result.name: result for result in chain(before.results, new)}
        about = f"{before.about.partition('; ')[0]}; some were tried again later, survivors by more tests"
        run = before._replace(results=list(latest.values()), about=about)
    else:
        how = f"EVERY={options.every}" if options.every else f"SAMPLE={options.sample} SEED={options.seed}"
        which = f' ROOMS="{" ".join(options.rooms)}"' if options.rooms else ""
        about = f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}, "
        about += f"{(time.monotonic() - began) / 60:.0f} minutes"
        possible = {room.name: len(room) for room in rooms}
        run = Run(f"make mutants {how}{which}", about, possible, len(mutants) - len(new), new)
    kept.parent.mkdir(exist_ok=True)
    results.save(run, kept)
    return run


if __name__ == "__main__":
    sys.exit(main())

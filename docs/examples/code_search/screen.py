"""What the terminal shows: live bars while work is going on, and plain lines where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text


class _Seconds(ProgressColumn):
    """The time that a stage took so far."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.elapsed or 0:5.2f} s", style="cyan")


class _Note(ProgressColumn):
    """What the stage says of itself at this moment."""

    def render(self, task: Task) -> Text:
        note: Callable[[], str] = task.fields["note"]
        return Text(note())


class Screen:
    """Shows stages, then facts; remembers which facts do not hold."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self.broken: list[str] = []
        columns = (TextColumn("{task.description}"), BarColumn(12), MofNCompleteColumn(), _Seconds(), _Note())
        self.bars = Progress(*columns, console=self.console, disable=not self.console.is_terminal, refresh_per_second=20)

    def say(self, line: str) -> None:
        """One line, kept as it is."""
        self.console.print(escape(line))

    @contextmanager
    def stage(self, title: str, total: int, what: str, note: Callable[[], str]) -> Iterator[Callable[[], None]]:
        """Show a stage of *total* steps, each of one of *what*; gives the function to call after each, from any thread."""
        if self.bars.disable:
            self.say(f"{title} ...")
        bar = self.bars.add_task(title, total=total, note=note)
        begin = time.perf_counter()
        yield lambda: self.bars.advance(bar)
        last = note()
        self.bars.update(bar, note=lambda: last)
        self.bars.stop_task(bar)
        if self.bars.disable:
            self.say(f"{title}: {total} {what} in {time.perf_counter() - begin:.2f} s, {last}")

    def check(self, holds: bool, fact: str) -> None:
        """Show a fact, and whether it holds."""
        self.console.print(("[green]    ok[/]  " if holds else "[bold red]BROKEN[/]  ") + escape(fact))
        if not holds:
            self.broken.append(fact)

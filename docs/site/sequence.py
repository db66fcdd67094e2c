"""Sequence diagrams as SVG, from a few lines of text.

    awaiter | worker thread          the lanes, from left to right
    awaiter -> worker thread: text   a message, `-->` an answer, `~>` a cancellation
    awaiter: text                    what happens in one lane
    awaiter [                        from here to `awaiter ]` the lane is busy; `(` and `)`: it waits

Colours come from the page's style sheet, so that the picture follows its light or dark theme.
"""

from __future__ import annotations

import re
import textwrap
from html import escape
from typing import NamedTuple

LANE = 152
"""The distance between two lanes, in units of the view box; a picture of three lanes is as wide as a phone."""

CHAR = 6.3
"""How wide a character is at most, on average, in the picture's font."""

LINE = 15
HEAD = 40

_STEP = re.compile(r"^(?P<lane>[^:\[\]()>~]+?)\s*(?:(?P<arrow>-->|->|~>)\s*(?P<to>[^:]+?)\s*)?:\s*(?P<text>.+)$")
_STATE = re.compile(r"^(?P<lane>[^:]+?)\s*(?P<mark>[\[\]()])$")
_KIND = {"->": "message", "-->": "answer", "~>": "cancel"}


class SequenceError(ValueError):
    """A line that says nothing that can be drawn."""


class Bar(NamedTuple):
    """A stretch of a lane."""

    kind: str
    begins: float


class Picture:
    """Draws from top to bottom; `y` is where the next step goes."""

    def __init__(self, lanes: list[str]) -> None:
        self._lanes = {name: LANE * (0.5 + number) for number, name in enumerate(lanes)}
        self._open: dict[str, Bar] = {}
        self._bars: list[str] = []
        self._marks: list[str] = []
        self.y = HEAD + 12.0
        self.width = LANE * len(lanes)

    def draw(self, line: str) -> None:
        state = _STATE.match(line)
        step = _STEP.match(line)
        if state is not None and state["lane"] in self._lanes:
            self._state(state["lane"], state["mark"])
        elif step is None or step["lane"] not in self._lanes or (step["to"] or step["lane"]) not in self._lanes:
            raise SequenceError(f"no lane, or no sense, in {line!r}; the lanes are {', '.join(self._lanes)}")
        elif step["to"]:
            self._arrow(step["lane"], step["to"], _KIND[step["arrow"]], step["text"])
        else:
            self._note(step["lane"], step["text"])

    def _state(self, lane: str, mark: str) -> None:
        if mark in "[(":
            self._open[lane] = Bar("busy" if mark == "[" else "waits", self.y - 4)
            return
        if lane not in self._open:
            raise SequenceError(f"{lane!r} ends what it has not begun")
        bar = self._open.pop(lane)
        height = self.y - 6 - bar.begins
        self._bars.append(
            f'<rect class="{bar.kind}" x="{self._lanes[lane] - 5:g}" y="{bar.begins:g}" width="10" height="{height:g}" rx="2"/>'
        )

    def _arrow(self, source: str, target: str, kind: str, text: str) -> None:
        begin, end = self._lanes[source], self._lanes[target]
        room = abs(end - begin) - 22
        self._text((begin + end) / 2, text, room)
        direction = 1 if end > begin else -1
        self._marks.append(
            f'<path class="{kind}" d="M{begin + 6 * direction:g} {self.y:g} H{end - 12 * direction:g}"/>'
            f'<path class="{kind} tip" d="M{end - 6 * direction:g} {self.y:g} l{-8 * direction} -4 v8 z"/>'
        )
        self.y += 20

    def _note(self, lane: str, text: str) -> None:
        x = self._lanes[lane]
        lines = _wrapped(text, LANE - 20)
        height = LINE * len(lines) + 8
        self._marks.append(
            f'<rect class="note" x="{x - LANE / 2 + 4:g}" y="{self.y - 8:g}" width="{LANE - 8}" height="{height}" rx="3"/>'
        )
        for line in lines:
            self._marks.append(f'<text x="{x:g}" y="{self.y + 7:g}">{escape(line)}</text>')
            self.y += LINE
        self.y += 16

    def _text(self, x: float, text: str, room: float) -> None:
        for line in _wrapped(text, room):
            width = len(line) * CHAR + 4
            self._marks.append(
                f'<rect class="ground" x="{x - width / 2:g}" y="{self.y - 9:g}" width="{width:g}" height="{LINE - 2}"/>'
                f'<text x="{x:g}" y="{self.y + 1:g}">{escape(line)}</text>'
            )
            self.y += LINE
        self.y -= 4

    def svg(self, title: str) -> str:
        for lane in self._open:
            raise SequenceError(f"{lane!r} does not end what it has begun")
        bottom = self.y
        heads = "".join(
            f'<rect class="head" x="{x - LANE / 2 + 6:g}" y="6" width="{LANE - 12}" height="26" rx="4"/>'
            f'<text class="head" x="{x:g}" y="23">{escape(name)}</text>'
            f'<line class="lane" x1="{x:g}" y1="32" x2="{x:g}" y2="{bottom:g}"/>'
            for name, x in self._lanes.items()
        )
        return (
            f'<svg class="sequence" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {bottom + 4:g}" '
            f'style="max-width: {self.width * 1.15:g}px" role="img" aria-label="{escape(title)}"><title>{escape(title)}</title>'
            f"{heads}{''.join(self._bars)}{''.join(self._marks)}</svg>"
        )


def _wrapped(text: str, room: float) -> list[str]:
    """A word that is too long sticks out rather than break: it may be the name of an error."""
    return textwrap.wrap(text, int(room / CHAR), break_long_words=False)


def draw(title: str, text: str) -> str:
    """The SVG of the diagram *text*."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise SequenceError("the first line names the lanes: a | b | c")
    picture = Picture([name.strip() for name in lines[0].split("|")])
    for line in lines[1:]:
        picture.draw(line)
    return picture.svg(title)

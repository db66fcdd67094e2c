"""Links, pictures, styles, scripts and anchors of the built pages are there, and nothing is fetched from elsewhere."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

FETCHED = {
    ("img", "src"),
    ("script", "src"),
    ("link", "href"),
    ("source", "src"),
    ("source", "srcset"),
    ("iframe", "src"),
    ("video", "src"),
    ("object", "data"),
    ("embed", "src"),
    ("image", "href"),
    ("use", "href"),
}
"""What a browser loads by itself; a link that a reader may follow is another matter."""

NOT_LOADED = {"canonical", "search", "index", "next", "prev"}
"""Kinds of <link> that tell something and load nothing."""

_IN_STYLE = re.compile(r"""url\(\s*["']?([^"')]+)|@import\s+["']([^"']+)""")


class Page(HTMLParser):
    """What one page refers to, and what can be referred to in it."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.path = path
        self.ids: Counter[str] = Counter()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value for name, value in attrs if value is not None}
        if "id" in values:
            self.ids[values["id"]] += 1
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        for name, value in values.items():
            if (tag, name) in FETCHED and not (tag == "link" and values.get("rel") in NOT_LOADED):
                self.fetched.append(value)
            if name == "style":
                self.fetched += in_style(value)


def in_style(text: str) -> list[str]:
    """The addresses that a style sheet loads."""
    return [first or second for first, second in _IN_STYLE.findall(text)]


def is_elsewhere(address: str) -> bool:
    """Whether *address* is on another machine."""
    return bool(urlsplit(address).netloc)


def check(root: Path) -> list[str]:
    """What is wrong with the site in the folder *root*, a line each."""
    pages = {path: Page(path) for path in sorted(root.rglob("*.html"))}
    if not pages:
        return [f"no page in {root}; 'make docs' builds them"]
    wrong: list[str] = []
    for path, page in pages.items():
        name = path.relative_to(root)
        wrong += [f"{name}: the id {id!r} is there {count} times" for id, count in page.ids.items() if count > 1]
        wrong += [f"{name}: fetches {address}, on another machine" for address in page.fetched if is_elsewhere(address)]
        here = [address for address in (*page.links, *page.fetched) if not is_elsewhere(address)]
        wrong += [f"{name}: {complaint}" for address in here if (complaint := _broken(address, page, pages))]
    for path in sorted(root.rglob("*.css")):
        for address in in_style(path.read_text()):
            if is_elsewhere(address):
                wrong.append(f"{path.relative_to(root)}: fetches {address}, on another machine")
            elif not address.startswith(("data:", "#")) and not _target(path, address).is_file():
                wrong.append(f"{path.relative_to(root)}: {address} is not there")
    return wrong


def _target(source: Path, address: str) -> Path:
    return (source.parent / unquote(urlsplit(address).path)).resolve()


def _broken(address: str, page: Page, pages: dict[Path, Page]) -> str | None:
    parts = urlsplit(address)
    if parts.scheme:
        return None if parts.scheme in ("mailto", "data") else f"{address} has a scheme that means nothing here"
    target = _target(page.path, address) if parts.path else page.path
    if not target.is_file():
        return f"{address} leads nowhere"
    anchor = unquote(parts.fragment)
    if anchor and target in pages and anchor not in pages[target].ids:
        return f"{address}: there is no such anchor"
    return None

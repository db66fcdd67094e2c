"""What checks the built site, and what draws its pictures: neither lets a mistake pass."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

import check_links
import sequence


def site(folder: Path, **pages: str) -> Path:
    for name, body in pages.items():
        (folder / f"{name}.html").write_text(f"<!doctype html><html><body>{body}</body></html>")
    return folder


def test_a_good_site_passes(tmp_path: Path) -> None:
    """Links to pages, anchors, other machines and mail addresses are no complaint; nor is a style that is there."""
    (tmp_path / "site.css").write_text("body { background: url(data:image/png;base64,AAAA) }")
    root = site(
        tmp_path,
        one='<link rel="stylesheet" href="site.css"><a id="top" href="two.html#here">2</a><a href="#top">^</a>',
        two='<p id="here"><a href="https://example.org/far">far</a><a href="mailto:a@example.org">mail</a></p>',
    )
    assert check_links.check(root) == []


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ('<a href="gone.html">x</a>', "gone.html leads nowhere"),
        ('<img src="gone.png">', "gone.png leads nowhere"),
        ('<a href="#gone">x</a>', "no such anchor"),
        ('<a href="one.html#gone">x</a>', "no such anchor"),
        ('<p id="a"></p><p id="a"></p>', "is there 2 times"),
        ('<script src="https://example.org/x.js"></script>', "on another machine"),
        ('<link rel="stylesheet" href="//example.org/x.css">', "on another machine"),
        ('<p style="background: url(https://example.org/x.png)"></p>', "on another machine"),
        ('<a href="javascript:void(0)">x</a>', "scheme"),
    ],
)
def test_a_broken_site_is_noticed(body: str, complaint: str, tmp_path: Path) -> None:
    """A link, picture, anchor, id or address that is wrong is one complaint, which names it."""
    (found,) = check_links.check(site(tmp_path, one=body))
    assert complaint in found


def test_a_style_sheet_that_fetches_is_noticed(tmp_path: Path) -> None:
    """A font or an import from another machine counts in style sheets, too, and so does a file that is missing."""
    (tmp_path / "site.css").write_text('@import "https://example.org/a.css"; @font-face { src: url("gone.woff2") }')
    found = check_links.check(site(tmp_path, one=""))
    assert [line.rpartition(": ")[2] for line in found] == [
        "fetches https://example.org/a.css, on another machine",
        "gone.woff2 is not there",
    ]


def test_an_empty_folder_is_not_a_site(tmp_path: Path) -> None:
    """Where nothing was built, nothing was checked, and that is said."""
    assert "no page" in check_links.check(tmp_path)[0]


def test_a_diagram_is_drawn() -> None:
    """Each lane, message, note and bar of the text is in the picture, which is well-formed, and escaped."""
    svg = sequence.draw("a < b", "a | b\na -> b: go & see\na (\nb [\nb: <thinks>\nb --> a: seen\nb ]\nb ~> a: stop\na )")
    tree = ElementTree.fromstring(svg)
    texts = [element.text for element in tree.iter() if element.tag.endswith("text")]
    assert texts == ["a", "b", "go & see", "<thinks>", "seen", "stop"]
    classes = [element.get("class") for element in tree.iter()]
    assert {"message", "answer", "cancel", "busy", "waits", "note"} <= set(classes)


@pytest.mark.parametrize(
    "text", ["", "a | b\nc -> b: who", "a | b\na -> c: whom", "a | b\na ]", "a | b\na [", "a | b\nnothing"]
)
def test_a_diagram_that_makes_no_sense_is_refused(text: str) -> None:
    """An unknown lane, a line without meaning, a bar without beginning or end: the build ends with it."""
    with pytest.raises(sequence.SequenceError):
        sequence.draw("title", text)

"""The directives of these pages: promises with their proofs, sequence diagrams, figures that commands have written."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import comparison
import figures
import promises
import sequence


def _html(text: str) -> nodes.raw:
    return nodes.raw("", text, format="html")


class SequenceDirective(SphinxDirective):
    """A sequence diagram, with its title as a caption."""

    has_content = True
    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        title = self.arguments[0]
        try:
            picture = sequence.draw(title, "\n".join(self.content))
        except sequence.SequenceError as error:
            raise self.error(str(error)) from error
        return [_html(f'<figure class="sequence">{picture}<figcaption>{escape(title)}</figcaption></figure>')]


class PromiseDirective(SphinxDirective):
    """A promise, its number as an anchor, and what proves it. One that nothing proves is an error."""

    has_content = True
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        number = self.arguments[0]
        proofs = [proof for proof in self.env.gllm_proofs if number in proof.promises]
        if not proofs:
            raise self.error(f"no test says 'proves: {number}' in its docstring; a promise is not made without a proof")
        wording = nodes.container(classes=["promise"], ids=[number.lower().replace("_", "-")])
        anchor = wording["ids"][0]
        wording += _html(f'<a class="number" href="#{anchor}">{escape(number)}</a>')
        wording += self.parse_content_to_nodes()
        sabotages = [sabotage.name for sabotage in self.env.gllm_sabotages if number in sabotage.promises]
        listed = "".join(
            f"<li>{_code(proof.fact)}<br><code class='place'>{_breakable(proof.place)}</code></li>" for proof in proofs
        )
        broken = "".join(f"<li><code class='place'>{_breakable(name)}</code></li>" for name in sabotages)
        count = f"{len(proofs)} test{'s' * (len(proofs) != 1)}"
        summary = f"{count}, broken on purpose in {len(sabotages)} way{'s' * (len(sabotages) != 1)}" if sabotages else count
        more = f"<p>Broken on purpose by the patches</p><ul>{broken}</ul>" if sabotages else ""
        wording += _html(f"<details><summary>{summary}</summary><ul>{listed}</ul>{more}</details>")
        return [wording]


class ProofCountDirective(SphinxDirective):
    """How many promises, tests that name one, and patches that break one, there are."""

    def run(self) -> list[nodes.Node]:
        numbers = promises.promises()
        unknown = sorted({number for proof in self.env.gllm_proofs for number in proof.promises} - set(numbers))
        if unknown:
            raise self.error(f"tests prove what the contract does not promise: {', '.join(unknown)}")
        text = (
            f"{len(numbers)} promises, {len(self.env.gllm_proofs)} tests and scenarios that name one, "
            f"{len(self.env.gllm_sabotages)} patches that break one."
        )
        return [nodes.paragraph("", text)]


class ComparisonDirective(SphinxDirective):
    """The table of guarantees, library by library, in short."""

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(comparison.FILE))
        return [_html(comparison.table(json.loads(comparison.FILE.read_text())))]


class FiguresDirective(SphinxDirective):
    """A table of what a command has found, from the JSON that it has written; where none is kept, the command is named."""

    required_arguments = 1
    option_spec = {"command": directives.unchanged_required}  # noqa: RUF012 # as docutils has it

    def run(self) -> list[nodes.Node]:
        path = figures.path_of(self.arguments[0])
        self.env.note_dependency(str(path))
        if not path.exists():
            command = nodes.literal("", self.options["command"])
            return [
                nodes.paragraph("", "", nodes.Text("The figures are those of each run: "), command, nodes.Text(" prints them."))
            ]
        return [_html(figures.table(json.loads(path.read_text())))]


def _code(text: str) -> str:
    """A docstring's first lines, with its back-quoted names as code."""
    parts = escape(text, quote=False).replace("``", "`").split("`")
    return "".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts))


def _breakable(text: str) -> str:
    """*text*, which may be broken after an underscore or a slash."""
    return escape(text).replace("_", "_<wbr>").replace("/", "/<wbr>").replace("::", "::<wbr>").replace("-", "-<wbr>")


def _read_proofs(app: Sphinx, env: Any, _names: list[str]) -> None:
    env.gllm_proofs = promises.proofs()
    env.gllm_sabotages = promises.sabotages()


def _make_linkable(app: Sphinx, doctree: nodes.document) -> None:
    """Promises can be linked to as headings can: `contract.md#a5`."""
    slugs = app.env.metadata[app.env.docname].setdefault("myst_slugs", {})
    for node in doctree.findall(nodes.container):
        if "promise" in node["classes"]:
            slugs[node["ids"][0]] = (node.line, node["ids"][0], node["ids"][0])


def setup(app: Sphinx) -> dict[str, Any]:
    """Register them."""
    app.connect("env-before-read-docs", _read_proofs)
    app.connect("doctree-read", _make_linkable)
    app.add_directive("sequence", SequenceDirective)
    app.add_directive("promise", PromiseDirective)
    app.add_directive("proof-count", ProofCountDirective)
    app.add_directive("comparison", ComparisonDirective)
    app.add_directive("figures", FiguresDirective)
    return {"version": "1", "parallel_read_safe": False}

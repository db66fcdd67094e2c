"""How Sphinx makes the site of docs/*.md. Offline: no address is fetched, neither by the build nor by the pages."""

import inspect
import re
import sys
import tomllib
import warnings
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, get_args, get_overloads, get_type_hints

from pygments.lexers.special import TextLexer

from gllm_core import concurrency
from gllm_core.concurrency import testing

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

_about = tomllib.loads((HERE.parent.parent / "pyproject.toml").read_text())["project"]

# Of Sphinx's about a method that this extension calls; nothing here can be changed about it.
warnings.filterwarnings("ignore", module="sphinx_autodoc_typehints")

project = _about["name"]
release = version = _about["version"]

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_autodoc_typehints",
    "directives",
]
exclude_patterns = ["site", "examples"]
source_suffix = {".md": "markdown"}
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4

# A function among the settings: all pages are read anew each time, so it need not be kept.
suppress_warnings = ["config.cache"]

# Back-quoted names of docstrings: a link where there is something to link to, else plain code.
default_role = "py:obj"
add_module_names = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 60
autodoc_member_order = "bysource"
autodoc_typehints = "none"
typehints_defaults = None
always_use_bars_union = True


def typehints_formatter(annotation: Any, _config: Any = None) -> str | None:
    """What is generic over a function, as it stands in the source."""
    if isinstance(annotation, TypeVar | ParamSpec) or any(isinstance(part, ParamSpec) for part in get_args(annotation)):
        return f"``{re.sub(r'~|[a-z]+[.]', '', str(annotation))}``"
    return None


napoleon_google_docstring = True
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = "gllm_core.concurrency"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_domain_indices = False
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_show_sphinx = False
html_theme_options = {
    # Fonts of the reader's machine: none is fetched.
    "light_css_variables": {"color-brand-primary": "#1f5f8b", "color-brand-content": "#1f5f8b"},
    "dark_css_variables": {"color-brand-primary": "#7cc0ea", "color-brand-content": "#7cc0ea"},
}
pygments_style = "friendly"
pygments_dark_style = "monokai"


def _fences_to_blocks(_app: Any, _what: str, _name: str, _object: object, _options: object, lines: list[str]) -> None:
    """Docstrings are read in an editor: a fenced block of theirs is a code block here."""
    text = re.sub(
        r"^( *)```(\w+)\n(.*?)^ *```$",
        lambda found: f"{found[1]}.. code-block:: {found[2]}\n\n" + re.sub(r"^(?=.)", "    ", found[3], flags=re.MULTILINE),
        "\n".join(lines),
        flags=re.MULTILINE | re.DOTALL,
    )
    lines[:] = text.split("\n")


def _no_type_before_a_colon(_app: Any, what: str, _name: str, _object: object, _options: object, lines: list[str]) -> None:
    """Napoleon takes what stands before a colon in the first line of an attribute for its type; here it is a sentence."""
    if what == "attribute":
        lines[:0] = ["..", ""]  # an empty comment, without a colon


def _show_types() -> None:
    """Signatures as callers see them: those of the overloads, and of context managers instead of what they are made of."""
    for name in ("asyncify", "syncify", "asyncify_iterator", "syncify_iterator", "asyncify_context", "syncify_context"):
        function: Any = getattr(concurrency, name)
        plain = (overload for overload in get_overloads(function) if next(iter(overload.__annotations__.values())) != "None")
        function.__annotations__ = max((overload.__annotations__ for overload in plain), key=len)
        signature = inspect.signature(function)
        func, *options = signature.parameters.values()
        function.__signature__ = signature.replace(parameters=[func.replace(default=func.empty), *options])
    for name in ("no_leaks", "must_finish", "fresh_portal", "perturb"):
        function = inspect.unwrap(getattr(testing, name))
        hints = get_type_hints(function)
        function.__annotations__ = {**hints, "return": AbstractContextManager[get_args(hints["return"])[0]]}


_show_types()


def setup(app: Any) -> None:
    """Register what reads docstrings before napoleon does."""
    app.connect("autodoc-process-docstring", _no_type_before_a_colon, priority=100)
    app.add_lexer("output", TextLexer)
    app.connect("autodoc-process-docstring", _fences_to_blocks, priority=100)

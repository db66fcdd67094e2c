"""What a machine changes in a source: mutmut's operators, and those that matter to code whose order is its meaning.

mutmut changes expressions. Here a change of order, a clean-up that is no longer protected, or a lock that is not taken is
what a test must notice, so statements are deleted and swapped, and what stands around them is dropped.

mutmut's own runner is not used: it puts all mutants into one source behind trampolines, which frames, signatures and forks
of this library do not survive. Here, each mutant is a source of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators

Node = Any
"""A node of libcst, which is installed for `make mutants` only."""

DEFINITIONS = (cst.FunctionDef, cst.ClassDef)
ENDS = (cst.Return, cst.Raise, cst.Break, cst.Continue)
KEPT = (cst.Import, cst.ImportFrom, cst.Pass, cst.Global, cst.Nonlocal)


class Change(NamedTuple):
    """One node that is to be replaced by another one."""

    line: int
    operator: str
    old: Node
    new: Node


def changes(source: str) -> tuple[Node, list[Change]]:
    """The parsed *source*, and all that may be changed in it, one at a time, in the order of its lines."""
    wrapper = MetadataWrapper(cst.parse_module(source))
    positions = wrapper.resolve(PositionProvider)
    found = []
    for node in mutable(wrapper.module):
        for operator, at, new in [*changed_expressions(node), *changed_blocks(node)]:
            found.append(Change(positions[at].start.line, operator, node, new))
    return wrapper.module, sorted(found, key=lambda change: change.line)


def mutable(node: Node) -> Iterator[Node]:
    """*node* and those below it, but not what is for type checkers, for the interpreter's memory, or for a reader's eye."""
    yield node
    for child in node.children:
        if not left_alone(child):
            yield from mutable(child)


def left_alone(node: Node) -> bool:
    if isinstance(node, cst.Annotation | cst.Decorator | cst.ImportFrom | cst.Import):
        return True
    if isinstance(node, cst.FunctionDef):
        return any("overload" in code_of(decorator) for decorator in node.decorators)
    if isinstance(node, cst.If):
        return code_of(node.test) == "TYPE_CHECKING"
    if isinstance(node, cst.Assign | cst.AnnAssign):
        return is_for_types(node)
    # Words for a person; their names, which are promised, stand in braces, and are expressions of their own.
    return isinstance(node, cst.SimpleString) and (" " in node.value or node.value.startswith('"""'))


def is_for_types(node: Node) -> bool:
    target = node.target if isinstance(node, cst.AnnAssign) else node.targets[0].target
    value = "" if node.value is None else code_of(node.value)
    return code_of(target) in ("__slots__", "__all__") or value.startswith(("TypeVar(", "ParamSpec(", "tuple[", "Callable["))


def changed_expressions(node: Node) -> Iterator[tuple[str, Node, Node]]:
    """mutmut's: another operator, constant or keyword; None for a value or an argument; an argument less."""
    for kind, operator in mutation_operators:
        if isinstance(node, kind):
            for new in operator(node):
                yield operator.__name__.removeprefix("operator_").replace("_", " "), node, new


def changed_blocks(node: Node) -> Iterator[tuple[str, Node, Node]]:
    """Ours. A class's body is left as it is, and so is what the module itself defines: their order says nothing."""
    if isinstance(node, cst.If | cst.While):
        for value in ("True", "False"):
            if code_of(node.test) != value and not (isinstance(node, cst.While) and value == "True"):
                yield f"condition {value}", node, node.with_changes(test=cst.Name(value))
    if isinstance(node, cst.IndentedBlock):
        for operator, at, body in changed_bodies(node.body):
            yield operator, at, node.with_changes(body=body or [cst.parse_statement("pass")])


def changed_bodies(body: Sequence[Node]) -> Iterator[tuple[str, Node, list[Node]]]:
    for index, statement in enumerate(body):
        before, after = body[:index], body[index + 1 :]
        if is_deletable(statement):
            yield "delete", statement, [*before, *after]
        if after and is_movable(statement) and is_movable(after[0]):
            yield "swap", statement, [*before, after[0], statement, *after[1:]]
        for operator, instead in unwrapped(statement):
            yield operator, statement, [*before, *instead, *after]


def unwrapped(statement: Node) -> Iterator[tuple[str, list[Node]]]:
    """What stands in *statement*, without what it does about it."""
    if isinstance(statement, cst.With):
        yield "drop with", list(statement.body.body)
    if isinstance(statement, cst.Try):
        inside = list(statement.body.body)
        if statement.finalbody is not None:
            kept = [statement.with_changes(finalbody=None)] if statement.handlers else inside
            yield "drop finally", [*kept, *statement.finalbody.body.body]
        for handler in statement.handlers:
            others = [other for other in statement.handlers if other is not handler]
            if others or (statement.finalbody is not None and statement.orelse is None):
                yield "drop except", [statement.with_changes(handlers=others)]
            elif statement.finalbody is None:
                yield "drop except", [*inside, *(statement.orelse.body.body if statement.orelse else [])]


def is_movable(statement: Node) -> bool:
    """Whether its place among its neighbours may matter, and it may stand elsewhere."""
    if not isinstance(statement, cst.SimpleStatementLine):
        return not isinstance(statement, DEFINITIONS)
    return not isinstance(statement.body[0], (*KEPT, *ENDS)) and not is_words(statement.body[0])


def is_deletable(statement: Node) -> bool:
    if not isinstance(statement, cst.SimpleStatementLine):
        return isinstance(statement, cst.For | cst.Match)  # `if` and `while` are made False, the others are dropped
    first = statement.body[0]
    if isinstance(first, cst.Assign | cst.AnnAssign):
        return getattr(first, "value", None) is not None and not is_for_types(first)
    return not (isinstance(first, KEPT) or is_words(first))


def is_words(small: Node) -> bool:
    return isinstance(small, cst.Expr) and isinstance(small.value, cst.SimpleString | cst.ConcatenatedString | cst.Ellipsis)


def code_of(node: Node) -> str:
    return str(cst.Module([]).code_for_node(node))

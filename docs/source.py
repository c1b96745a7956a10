"""What the reference says of a name, read from the source: its signature as it is written there, its docstring, its fields.
Nothing is imported but to find the file; a signature looks the same under every Python."""

import ast
import functools
import inspect
import sys
import textwrap
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

WIDTH = 110


class Field(NamedTuple):
    """A field or property; `default` is empty where it must be given. A property is not `given`, but found."""

    name: str
    type: str
    default: str
    words: str
    given: bool = True


class Method(NamedTuple):
    """A public method."""

    name: str
    signature: str
    words: str


class Found(NamedTuple):
    """A class or function."""

    name: str
    signature: str
    words: str
    fields: list[Field]
    methods: list[Method]


@functools.cache
def _tree(module: ModuleType) -> ast.Module:
    return ast.parse(inspect.getsource(module))


def find(thing: Any) -> Found:
    """Read a class or function."""
    module = sys.modules[thing.__module__]
    nodes = [node for node in _tree(module).body if getattr(node, "name", "") == thing.__name__]
    if not nodes:
        raise SystemExit(f"{thing!r} is not defined at the top of {module.__name__}")
    node = nodes[-1]
    words = _prose(ast.get_docstring(node) or "")
    if isinstance(node, ast.ClassDef):
        return Found(node.name, _class_signature(node, module), words, list(_fields(node)), list(_methods(node)))
    shown = [overload for overload in nodes[:-1] if _is_overload(overload)]
    begin = "await " if _is_awaited(node) else ""
    return Found(node.name, begin + _signature(node.name, shown[-1] if shown else node), words, [], [])


def _is_awaited(node: ast.stmt) -> bool:
    """Whether a call is awaited: an async generator is iterated over."""
    return isinstance(node, ast.AsyncFunctionDef) and not any(isinstance(inner, ast.Yield) for inner in ast.walk(node))


def _is_overload(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and any(getattr(mark, "id", "") == "overload" for mark in node.decorator_list)


# ---- signatures


def _signature(name: str, node: Any, *, method: bool = False, returns: bool = True) -> str:
    arguments = list(_arguments(node.args))[1 if method else 0 :]
    if method and arguments[:1] == ["/"]:
        del arguments[0]  # nothing is left in front of it
    shown = _type(node.returns) if returns else ""
    after = f" -> {shown}" if shown and not shown.startswith("_") else ""
    return _laid_out(name, arguments, after)


def _arguments(args: ast.arguments) -> Iterator[str]:
    placed = [*args.posonlyargs, *args.args]
    defaults = [None] * (len(placed) - len(args.defaults)) + list(args.defaults)
    for place, (argument, default) in enumerate(zip(placed, defaults, strict=True)):
        yield _argument(argument, default)
        if args.posonlyargs and place == len(args.posonlyargs) - 1:
            yield "/"
    if args.vararg:
        yield f"*{_argument(args.vararg, None)}"
    elif args.kwonlyargs:
        yield "*"
    for argument, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        if argument.arg.startswith("_"):
            continue
        yield _argument(argument, default)
    if args.kwarg:
        yield f"**{_argument(args.kwarg, None)}"


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    text = f"{argument.arg}: {_type(argument.annotation)}" if argument.annotation else argument.arg
    if default is None:
        return text
    return f"{text} = {_written(default)}" if argument.annotation else f"{text}={_written(default)}"


def _type(node: ast.expr | None) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return ast.unparse(node) if node is not None else ""


SHOWN = {"NOTHING": "{}", "DEFAULTS": "Limits()", "PATIENCE": "60.0", "OVER": '("done", "limited", "failed", "cancelled")'}
"""Defaults that are better told by their value than by their name."""


def _written(node: ast.expr) -> str:
    if isinstance(node, ast.Name) and node.id in SHOWN:
        return SHOWN[node.id]
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return f'"{node.value}"'
    return ast.unparse(node)


def _laid_out(name: str, arguments: list[str], after: str) -> str:
    line = f"{name}({', '.join(arguments)}){after}"
    if len(line) <= WIDTH:
        return line
    return f"{name}(\n" + "".join(f"    {argument},\n" for argument in arguments) + f"){after}"


def _class_signature(node: ast.ClassDef, module: ModuleType) -> str:
    bases = {getattr(base, "id", "") for base in node.bases}
    for family in (node, *(above for above in _tree(module).body if isinstance(above, ast.ClassDef) and above.name in bases)):
        for member in family.body:
            if isinstance(member, ast.FunctionDef) and member.name == "__init__":
                return _signature(node.name, member, method=True, returns=False)
    if _is_protocol(node):
        return ""
    fields = [(member, _default(member)) for member in node.body if isinstance(member, ast.AnnAssign) and _is_given(member)]
    arguments: list[str] = []
    for member, (default, by_name) in fields:
        if by_name and "*" not in arguments:
            arguments.append("*")
        text = f"{ast.unparse(member.target)}: {_type(member.annotation)}"
        arguments.append(f"{text} = {default}" if default else text)
    return _laid_out(node.name, arguments, "") if arguments else ""


def _is_protocol(node: ast.ClassDef) -> bool:
    return any("Protocol" in ast.unparse(base) for base in node.bases)


def _is_given(member: ast.AnnAssign) -> bool:
    return "init=False" not in (ast.unparse(member.value) if member.value else "")


def _default(member: ast.AnnAssign) -> tuple[str, bool]:
    """A field's default as it is written, and whether the field goes by name only."""
    value = member.value
    if value is None:
        return "", False
    if isinstance(value, ast.Call) and getattr(value.func, "id", "") == "field":
        words = {word.arg: word.value for word in value.keywords}
        if "default_factory" in words:
            made = ast.unparse(words["default_factory"])
            return {"dict": "{}", "list": "[]"}.get(made, f"{made}()"), "kw_only" in words
        return _written(words["default"]) if "default" in words else "", "kw_only" in words
    return _written(value), False


# ---- members


def _fields(node: ast.ClassDef) -> Iterator[Field]:
    body = node.body
    for place, member in enumerate(body):
        if isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name) and _is_given(member):
            yield Field(member.target.id, _type(member.annotation), _default(member)[0], _text_after(body, place))
        elif isinstance(member, ast.Assign) and isinstance(member.targets[0], ast.Name) and not member.targets[0].id.startswith("_"):
            yield Field(member.targets[0].id, "", _written(member.value), _text_after(body, place))
        elif isinstance(member, ast.FunctionDef) and member.name == "__init__":
            yield from _set_in_init(member)
        elif isinstance(member, ast.FunctionDef) and _is_property(member) and not member.name.startswith("_"):
            yield Field(member.name, _type(member.returns), "", _prose(ast.get_docstring(member) or ""), given=False)


def _set_in_init(init: ast.FunctionDef) -> Iterator[Field]:
    """Attributes that carry a docstring of their own."""
    for place, statement in enumerate(init.body):
        target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
        words = _text_after(init.body, place)
        if isinstance(target, ast.Attribute) and words and not target.attr.startswith("_"):
            yield Field(target.attr, _type(getattr(statement, "annotation", None)), "", words)


def _text_after(body: list[ast.stmt], place: int) -> str:
    follows = body[place + 1] if place + 1 < len(body) else None
    if isinstance(follows, ast.Expr) and isinstance(follows.value, ast.Constant) and isinstance(follows.value.value, str):
        return _prose(follows.value.value)
    return ""


def _methods(node: ast.ClassDef) -> Iterator[Method]:
    for member in node.body:
        if not isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef) or member.name.startswith("_") or _is_property(member):
            continue
        begin = "await " if _is_awaited(member) else ""
        yield Method(member.name, begin + _signature(member.name, member, method=True), _prose(ast.get_docstring(member) or ""))


def _is_property(node: ast.stmt) -> bool:
    marks = getattr(node, "decorator_list", ())
    return any(getattr(mark, "id", "") in ("property", "cached_property") for mark in marks)


def _prose(text: str) -> str:
    """A docstring as paragraphs of one line each."""
    paragraphs = textwrap.dedent(text).strip().split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)

"""What a docstring says about a function and its parameters, in Google, NumPy and Sphinx style.
Prose stays as it was written; only known sections are taken apart."""

import inspect
import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

from segue.tools.signature import origin_of, without_partials

_GOOGLE = re.compile(
    r"^(?:(?P<named>(?:(?:Keyword|Other) )?(?:Args|Arguments|Params|Parameters))|Attributes|Returns?|Yields?|Raises|Exceptions?|"
    r"Examples?|Notes?|References|See Also|Todo|Warnings?|Warns):[ \t]*\n(?=[ \t]+\S)",
    re.MULTILINE,
)
_NUMPY = re.compile(r"^(?:[A-Z]\w*(?: [A-Z]\w*)?)[ \t]*\n-{3,}[ \t]*$", re.MULTILINE)
_SPHINX = re.compile(r"^:(?:param|parameter|arg|argument|key|keyword|type|returns?|rtype|raises?|except|yields?)\b[^:\n]*:", re.MULTILINE)
_STYLES = (("GOOGLE", _GOOGLE), ("NUMPYDOC", _NUMPY), ("REST", _SPHINX))


def describe(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """Give the description of a function, and what its docstring says of its parameters, by name.

    The description is what stands before the first section. Both are empty where there is no docstring.
    """
    text = _docstring(function)
    found = sorted((match.start(), style) for style, pattern in _STYLES if (match := pattern.search(text)))
    if not found:
        return text, {}
    named: dict[str, str] = {}
    for start, style in found:
        for section in _google(text) if style == "GOOGLE" else [text[start:]]:
            named |= _parameters(section, style)
    return text[: found[0][0]].strip(), named


def _docstring(function: Callable[..., Any]) -> str:
    """Read the docstring that the author wrote: a partial and a callable object carry another one of Python's own."""
    function = without_partials(function)
    if inspect.isroutine(function):
        return (inspect.getdoc(function) or "").strip()
    source, owner = origin_of(function)
    own = inspect.cleandoc(source.__doc__ or "") if inspect.isfunction(source) else ""
    return (own or inspect.getdoc(owner) or "").strip()


def _google(text: str) -> Iterator[str]:
    """Give the sections that name parameters, each by itself: what is odd in another one does no harm."""
    headers = list(_GOOGLE.finditer(text))
    for header, following in itertools.zip_longest(headers, headers[1:]):
        if header["named"]:
            yield f"Args:\n{text[header.end() : following.start() if following else len(text)]}"


def _parameters(sections: str, style: str) -> dict[str, str]:
    import docstring_parser  # slow to load, and most docstrings have no sections

    try:
        parsed = docstring_parser.parse(f"-\n\n{sections}", style=docstring_parser.DocstringStyle[style])  # it expects words first
    except docstring_parser.ParseError:  # sections that nobody can read describe nothing; the tool works without them
        return {}
    result = {}
    for parameter in parsed.params:
        words = " ".join((parameter.description or "").split())
        for name in parameter.arg_name.split(","):
            if words:
                result[name.strip().lstrip("*\\")] = words
    return result

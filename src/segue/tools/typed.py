"""Types that a model must fill outside of a function's signature: a handoff's brief, a callee's value, an agent's output.
A type that is not an object in JSON is wrapped in one, because providers want an object at the top."""

import json
from typing import Any, NoReturn

from pydantic_core import PydanticSerializationError, ValidationError

from segue.core.messages import Json, sendable_text
from segue.errors import ArgumentsRefused, UsageError
from segue.model import OutputSpec
from segue.tools.schema import refusal
from segue.tools.strict import clean_schema, fits_strict


class Typed:
    """A type with its JSON schema. `wrap` names the one property that holds a value which is not an object itself."""

    def __init__(self, kind: Any, *, where: str, wrap: str = "value") -> None:
        from pydantic import TypeAdapter  # here, because pydantic is slow to import and most agents have no such type

        try:
            self._adapter: Any = TypeAdapter(kind)
            schema = clean_schema(self._adapter.json_schema())
        except Exception as error:
            raise UsageError(f"{where}: {kind!r} cannot be told to a model ({error}). Use a type that pydantic knows.") from error
        self._wrap = None if schema.get("type") == "object" and "$ref" not in schema else wrap
        if self._wrap:
            definitions = schema.pop("$defs", None)
            schema = {"type": "object", "properties": {wrap: schema}, "required": [wrap], "additionalProperties": False}
            if definitions:
                schema["$defs"] = definitions
        self.schema: dict[str, Any] = schema
        self.strict = fits_strict(schema)
        self.spec = OutputSpec("output", schema, True if self.strict else None)
        """The type as a model is asked for it."""

    def value(self, arguments: dict[str, Json]) -> Any:
        """The value in a JSON object. Raises `ArgumentsRefused`, field by field."""
        if self._wrap and self._wrap not in arguments:
            raise ArgumentsRefused(f"{self._wrap}: this field is missing", fields=((self._wrap, "this field is missing"),))
        given = arguments[self._wrap] if self._wrap else arguments
        try:
            value = self._adapter.validate_json(sendable_text(json.dumps(given, ensure_ascii=False)))
        except ValidationError as error:
            raise refusal(error) from None
        except RecursionError:
            raise ArgumentsRefused("nested too deep", fields=(("", "nested too deep"),)) from None
        try:
            json.dumps(self.dump(value), allow_nan=False)
        except PydanticSerializationError:
            return value  # an output need not be written: it is handed over as it is
        except ValueError:
            raise ArgumentsRefused("a number is not finite", fields=(("", "a number is not finite"),)) from None
        return value

    def dump(self, value: Any) -> Json:
        """A value as JSON, unwrapped."""
        return self._adapter.dump_python(value, mode="json")

    def read(self, text: str) -> Any:
        """The value in a reply's text, which may stand in a Markdown fence. Raises `ArgumentsRefused`."""
        try:
            found = json.loads(_unfenced(text), object_pairs_hook=_once, parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            words = f"the reply is not JSON ({error})"
            raise ArgumentsRefused(words, fields=(("", words),)) from None
        if self._wrap is not None and not (isinstance(found, dict) and self._wrap in found):
            found = {self._wrap: found}
        if not isinstance(found, dict):
            raise ArgumentsRefused("the reply is not a JSON object", fields=(("", "the reply is not a JSON object"),))
        return self.value(found)


def _once(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


def _unfenced(text: str) -> str:
    stripped = text.strip()
    if stripped.startswith("```") and stripped.endswith("```") and "\n" in stripped:
        return stripped[stripped.index("\n") + 1 : -3]
    return stripped

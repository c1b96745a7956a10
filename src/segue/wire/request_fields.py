"""Fields of a request that a client sends to a server of ours, read one by one.
What has the wrong type is a `UsageError` that names the field; what we do not know is kept as it is."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from segue.core.messages import Json, Message
from segue.errors import UsageError
from segue.model import ModelSettings, OutputSpec, ToolSpec
from segue.wire.jsontext import loads


class ServedRequest(NamedTuple):
    """What a client asks of a server. `model` may be the name of a team or an agent."""

    model: str
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    settings: ModelSettings = ModelSettings()
    output: OutputSpec | None = None
    stream: bool = False
    include_usage: bool = False


class Fields:
    """A request's fields; those that were asked for are taken out."""

    def __init__(self, body: bytes | Mapping[str, Json]) -> None:
        try:
            fields = loads(body) if isinstance(body, bytes) else dict(body)
        except ValueError as error:
            raise UsageError("The body is not JSON.") from error
        if not isinstance(fields, dict):
            raise UsageError("The body is no JSON object.")
        self.left: dict[str, Json] = fields

    def take(self, name: str, kind: type, what: str, *, needed: bool = False) -> Any:
        """A field of this type; `None` if it is missing or null."""
        value = self.left.pop(name, None)
        if value is None:
            if needed:
                raise UsageError(f"{name} is missing. It is {what}.")
            return None
        if kind is float and type(value) is int:
            return float(value)
        if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
            raise UsageError(f"{name} must be {what}.")
        return value

    def text(self, name: str, *, needed: bool = False) -> str | None:
        """A string."""
        value: str | None = self.take(name, str, "a string", needed=needed)
        return value

    def number(self, name: str) -> float | None:
        """A number."""
        value: float | None = self.take(name, float, "a number")
        return value

    def integer(self, name: str) -> int | None:
        """A whole number."""
        value: int | None = self.take(name, int, "a whole number")
        return value

    def flag(self, name: str) -> bool | None:
        """True or false."""
        value: bool | None = self.take(name, bool, "true or false")
        return value

    def object(self, name: str) -> dict[str, Json]:
        """An object; empty if it is missing."""
        return self.take(name, dict, "an object") or {}

    def objects(self, name: str, *, needed: bool = False) -> list[dict[str, Json]]:
        """A list of objects; empty if it is missing."""
        value = self.take(name, list, "a list of objects", needed=needed) or []
        if not all(isinstance(item, dict) for item in value):
            raise UsageError(f"{name} must be a list of objects.")
        return list(value)

    def stop(self) -> list[str] | None:
        """Where to stop: a string or several."""
        value = self.left.pop("stop", None)
        stops = [value] if isinstance(value, str) else value
        if stops is None or (isinstance(stops, list) and all(isinstance(item, str) for item in stops)):
            return stops
        raise UsageError("stop must be a string or a list of strings.")

    def tool_choice(self) -> str | None:
        """A word, or the name of the one tool, as either API writes it."""
        value = self.left.pop("tool_choice", None)
        if isinstance(value, dict):
            inner = value.get("function")
            value = inner.get("name") if isinstance(inner, dict) else value.get("name")
            if not isinstance(value, str):
                raise UsageError("tool_choice must name a function.")
        if value is None or isinstance(value, str):
            return "required" if value == "any" else value  # as Mistral says it
        raise UsageError("tool_choice must be a string or an object.")


def tool_spec(place: int, function: Json) -> ToolSpec:
    """A tool, from the object that describes its function."""
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
        raise UsageError(f"tools[{place}] has no function with a name.")
    parameters = function.get("parameters")
    strict = function.get("strict")
    return ToolSpec(
        function["name"],
        str(function.get("description") or ""),
        parameters if isinstance(parameters, dict) else {"type": "object", "properties": {}},
        strict if isinstance(strict, bool) else None,
    )


def output_spec(schema: Json) -> OutputSpec:
    """What a reply must fit, from the object that names the schema."""
    if not isinstance(schema, dict) or not isinstance(schema.get("schema"), dict):
        raise UsageError("The response format has no schema.")
    strict = schema.get("strict")
    return OutputSpec(str(schema.get("name") or "output"), schema["schema"], strict if isinstance(strict, bool) else None)

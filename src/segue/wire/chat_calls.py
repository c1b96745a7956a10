"""Tool calls of a Chat Completions reply, put together from whole calls or from fragments.
Indexes and ids are not trusted: both come missing, equal and repeated. What looks like a call is never dropped silently."""

from segue.core.messages import Call, Json, sendable_text
from segue.wire.jsontext import loads, sendable, text

_KNOWN = frozenset(("id", "type", "function", "index", "custom"))


class _Parts:
    """A call that is being put together."""

    __slots__ = ("arguments", "extra", "id", "name", "place")

    def __init__(self, place: int, call_id: str) -> None:
        self.place = place
        self.id = call_id
        self.name = ""
        self.arguments: list[str] = []
        self.extra: dict[str, Json] = {}

    def made(self) -> Call:
        """The call as it is."""
        return Call(sendable_text(self.id), sendable_text(self.name), sendable_text("".join(self.arguments)), sendable(self.extra))

    def complete(self) -> bool:
        """Whether the arguments are a whole JSON object, so that nothing can be added to them."""
        try:
            return isinstance(loads("".join(self.arguments)), dict)
        except ValueError:
            return False


class Calls:
    """The calls so far, in the order in which they began. Calls that came whole and calls in pieces are never in one reply."""

    _legacy: _Parts | None = None  # on the class, as for most replies it stays so

    def __init__(self) -> None:
        self._whole: list[Call] = []
        self._calls: list[_Parts] = []
        self._at: dict[int, _Parts] = {}
        self._named: dict[str, _Parts] = {}
        """The last call that has an id."""

    def __bool__(self) -> bool:
        return bool(self._calls or self._whole)

    def take_whole(self, call: dict[str, Json]) -> None:
        """Take a call that came whole: nothing before or after it is a piece of it."""
        name, arguments = _function(call)
        extra = {} if call.keys() <= _KNOWN else sendable(_unknown(call))
        self._whole.append(Call(sendable_text(text(call.get("id"))), sendable_text(name), sendable_text(arguments), extra))

    def take(self, fragment: dict[str, Json]) -> tuple[int, str, str]:
        """Take a call or a piece of one; give its place, its name if it is new, and the arguments that it adds."""
        call_id = text(fragment.get("id"))
        name, arguments = _function(fragment)
        call = self._same(fragment.get("index"), call_id, name, arguments)
        if call is None:
            call = self._begin(fragment.get("index"), call_id)
        elif name and call.arguments and arguments and "".join(call.arguments) == arguments and call.complete():
            arguments = ""  # the whole call again
        if call_id and not call.id:
            call.id = call_id
            if (known := self._named.get(call_id)) is None or known.place < call.place:
                self._named[call_id] = call
        new = name if name != call.name else ""
        call.name += new
        if arguments:
            call.arguments.append(arguments)
        if not fragment.keys() <= _KNOWN:
            call.extra.update(_unknown(fragment))
        return call.place, new, arguments

    def take_legacy(self, function: Json) -> None:
        """Take a `function_call` of old, or a piece of one. It counts if nothing else calls."""
        if not isinstance(function, dict):
            return
        if self._legacy is None:
            self._legacy = _Parts(0, "")
        if (name := text(function.get("name"))) != self._legacy.name:
            self._legacy.name += name
        self._legacy.arguments.append(text(function.get("arguments")))

    def all(self) -> tuple[Call, ...]:
        """The calls as they are."""
        if self._whole:
            return tuple(self._whole)
        calls = self._calls
        if not calls and self._legacy is not None and (self._legacy.name or any(self._legacy.arguments)):
            calls = [self._legacy]
        return tuple([call.made() for call in calls])

    def _begin(self, index: Json, call_id: str) -> _Parts:
        call = _Parts(len(self._calls), call_id)
        self._calls.append(call)
        if call_id:
            self._named[call_id] = call
        if type(index) is int:
            self._at[index] = call
        return call

    def _same(self, index: Json, call_id: str, name: str, arguments: str) -> _Parts | None:
        """The call that this fragment goes on with; `None` if it begins one."""
        if type(index) is int:
            call = self._at.get(index)
        elif call_id:
            return self._named.get(call_id)
        else:
            call = self._calls[-1] if self._calls else None
        if call is None or (call_id and call.id and call_id != call.id):
            return None  # two whole calls at one index: Ollama
        if not name or (call_id and call_id == call.id):
            return call
        if name != call.name:
            return None if call.name and (call.arguments or arguments) else call  # else the (rest of the) name comes late
        return None if call.arguments and arguments and call.complete() else call


def _function(fragment: dict[str, Json]) -> tuple[str, str]:
    """Name and arguments. A custom tool's input stands for arguments: no tool of ours will take it."""
    function = fragment.get("function")
    if not isinstance(function, dict):
        function = {}
    name, arguments = text(function.get("name")), text(function.get("arguments"))
    if name or arguments or not isinstance(custom := fragment.get("custom"), dict):
        return name, arguments
    return text(custom.get("name")), text(custom.get("input"))


def _unknown(fragment: dict[str, Json]) -> dict[str, Json]:
    """The fields that we do not know, where they hold something."""
    return {key: value for key, value in fragment.items() if key not in _KNOWN and value not in (None, "", [], {})}

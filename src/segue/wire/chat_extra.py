"""What a Chat Completions message holds besides text and calls: thoughts, signatures, parts.
It is kept, joined where it came in pieces, and goes back to the same provider. Known noise is dropped."""

from segue.core.messages import Json
from segue.wire.jsontext import sendable

NOT_SENT = frozenset(("annotations", "audio", "executed_tools", "citations"))
"""Kept for people; no provider takes them back."""

_NOISE = frozenset(("index", "channel", "name", "obfuscation", "token_ids"))
_THOUGHTS = ("reasoning_content", "reasoning", "thinking")
_GROWING = frozenset((*_THOUGHTS, "text", "summary", "data", "signature_delta"))


class Extra:
    """The unknown fields so far."""

    _thinks_in: str | None = None

    def __init__(self) -> None:
        self._fields: dict[str, Json] = {}
        self._parts: list[dict[str, Json]] = []

    def take(self, key: str, value: Json) -> str | None:
        """Keep a field or a piece of it; give the thought it shows, once if two fields say the same."""
        if key in _NOISE or value in ([], {}) or (key == "audio" and not (isinstance(value, dict) and value.get("id"))):
            return None
        self._fields[key] = joined(key, self._fields.get(key), value)
        if key not in _THOUGHTS or not isinstance(value, str):
            return None
        self._thinks_in = self._thinks_in or key
        return value if key == self._thinks_in else None

    def take_text(self, text: str) -> None:
        """Keep the order of text and parts."""
        if self._parts:
            self._add({"type": "text", "text": text})

    def take_parts(self, parts: list[Json], before: str) -> tuple[str, str]:
        """Keep content that came as parts, if they are more than text; give their text and their thoughts."""
        texts: list[str] = []
        thoughts: list[str] = []
        for part in parts:
            known = {"type": "text", "text": part} if isinstance(part, str) else part
            if not isinstance(known, dict):
                continue
            if known.get("type") in ("text", "output_text", None) and isinstance(known.get("text"), str):
                self.take_text(known["text"])
                texts.append(known["text"])
                continue
            if not isinstance(known.get("type"), str) or known["type"] in ("text", "output_text"):
                continue
            if not self._parts and (said := before + "".join(texts)):
                self._parts.append({"type": "text", "text": said})
            self._add(known)
            if known.get("type") in ("thinking", "reasoning"):
                thoughts.append(_words(known.get("thinking") or known.get("text")))
        return "".join(texts), "".join(thoughts)

    def all(self) -> dict[str, Json]:
        """Everything kept, as it goes back."""
        fields = self._fields | {"content": self._parts} if self._parts else self._fields
        return sendable(fields) if fields else fields

    def _add(self, part: dict[str, Json]) -> None:
        last = self._parts[-1] if self._parts else None
        if last is not None and last.get("type") == part.get("type") and part.get("type") in ("text", "thinking"):
            self._parts[-1] = {key: joined(key, last.get(key), part.get(key)) for key in last | part}
        else:
            self._parts.append(dict(part))


def joined(key: str, old: Json, new: Json) -> Json:
    """Two pieces of a field as one: text that grows is appended, lists and objects are merged, else the later holds.

    The old piece is ours, and is added to in place: a field may come in very many pieces.
    """
    if old is None or new is None:
        return old if new is None else new
    if isinstance(old, str) and isinstance(new, str):
        return old + new if key in _GROWING else new
    if isinstance(old, dict) and isinstance(new, dict):
        for name, value in new.items():
            old[name] = joined(name, old.get(name), value)
        return old
    if isinstance(old, list) and isinstance(new, list):
        return _joined_lists(old, new)
    return new


def _joined_lists(old: list[Json], new: list[Json]) -> list[Json]:
    for item in new:
        last = old[-1] if old else None
        if isinstance(last, dict) and isinstance(item, dict) and _goes_on(last, item):
            joined("", last, item)
        else:
            old.append(item)
    return old


def _goes_on(last: dict[str, Json], item: dict[str, Json]) -> bool:
    """Whether a list's new item is a piece of its last one."""
    return last.get("type") == item.get("type") and last.get("index") == item.get("index") and "type" in item


def _words(value: Json) -> str:
    """The words of a thinking part: text, or a list of text parts."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(item["text"] for item in value if isinstance(item, dict) and isinstance(item.get("text"), str))
    return ""

"""Server-sent events: bytes to (event, data) pairs, wherever the bytes were cut.
It knows lines and fields, and nothing of what the data mean. Data stay bytes, so that a cut character does no harm."""

_BOM = b"\xef\xbb\xbf"

Event = tuple[str, bytes]
"""The event's name ("" for none) and its data, lines joined by a line feed."""


class SSEDecoder:
    """Takes a stream apart, piece by piece. Comments and unknown fields are passed over."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []  # of the line that has not ended yet
        self._name = ""
        self._data: list[bytes] = []
        self._after_cr = False
        self._begun = False

    def feed(self, data: bytes) -> list[Event]:
        """Give the events that are complete now."""
        if self._after_cr and data:
            self._after_cr = False
            if data[:1] == b"\n":
                data = data[1:]
        end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        if not end:
            if data:
                self._pieces.append(data)
            return []
        whole, rest = data[:end], data[end:]
        self._after_cr = whole.endswith(b"\r")
        if self._pieces:
            whole = b"".join(self._pieces) + whole
        self._pieces = [rest] if rest else []
        if not self._begun:
            self._begun = True
            whole = whole.removeprefix(_BOM)
        return self._take(whole.splitlines())

    def close(self) -> list[Event]:
        """Give what the end of the stream left without its empty line."""
        return self.feed(b"\n\n")

    def _take(self, lines: list[bytes]) -> list[Event]:
        events: list[Event] = []
        data = self._data
        for line in lines:
            if line[:5] == b"data:":
                data.append(line[6:] if line[5:6] == b" " else line[5:])
            elif not line:
                if data:
                    events.append((self._name, data[0] if len(data) == 1 else b"\n".join(data)))
                    data = self._data = []
                self._name = ""
            elif line[:6] == b"event:":
                self._name = line[6:].removeprefix(b" ").decode("utf-8", "replace")
            elif line == b"data":
                data.append(b"")
        return events


def encode_event(data: bytes, name: str = "") -> bytes:
    """Write one event. `data` holds no line breaks, as JSON does not."""
    head = b"event: " + name.encode() + b"\n" if name else b""
    return head + b"data: " + data + b"\n\n"

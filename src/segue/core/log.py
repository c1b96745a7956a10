"""Append-only sequences that values may share.
Two values with a common past share its storage; the one that appends where another already has, copies."""

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Log(Generic[T]):
    """A sequence that never changes; `append` gives a longer one, in constant time along one line of history."""

    __slots__ = ("_items", "_length")

    def __init__(self, items: Iterable[T] = ()) -> None:
        self._items = list(items)
        self._length = len(self._items)

    def append(self, item: T) -> "Log[T]":
        """This sequence and one item more."""
        longer: Log[T] = Log.__new__(Log)
        items = self._items
        if len(items) != self._length:
            items = items[: self._length]
        items.append(item)
        longer._items, longer._length = items, self._length + 1
        return longer

    def without(self, place: int) -> "Log[T]":
        """This sequence without one of its items."""
        return Log(item for at, item in enumerate(self) if at != place)

    def upto(self, length: int) -> "Log[T]":
        """The first `length` items."""
        shorter: Log[T] = Log.__new__(Log)
        shorter._items, shorter._length = self._items, min(length, self._length)
        return shorter

    def since(self, start: int) -> list[T]:
        """The items from `start` on."""
        return self._items[start : self._length]

    def between(self, start: int, stop: int) -> list[T]:
        """The items from `start` up to `stop`."""
        return self._items[start : min(stop, self._length)]

    def __getitem__(self, place: int) -> T:
        if not 0 <= place < self._length:
            raise IndexError(place)
        return self._items[place]

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[T]:
        return iter(self._items[: self._length])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Log) and self.since(0) == other.since(0)

    def __repr__(self) -> str:
        return f"Log({self.since(0)!r})"


class Names:
    """A set of names that never changes; `add` gives a larger one, in constant time along one line of history."""

    __slots__ = ("_length", "_places")

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._length = 0

    def add(self, name: str) -> "Names":
        """This set and one name more."""
        if name in self:
            return self
        larger = Names.__new__(Names)
        places = self._places
        if len(places) != self._length:
            places = {known: place for known, place in places.items() if place < self._length}
        places[name] = self._length
        larger._places, larger._length = places, self._length + 1
        return larger

    def __contains__(self, name: str) -> bool:
        return self._places.get(name, self._length) < self._length

    def __iter__(self) -> Iterator[str]:
        return (name for name, place in list(self._places.items()) if place < self._length)

    def __len__(self) -> int:
        return self._length

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Names) and set(self) == set(other)

    def __repr__(self) -> str:
        return f"Names({list(self)!r})"

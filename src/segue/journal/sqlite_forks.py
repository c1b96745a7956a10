"""What a fork must not take along.
SQLite counts a file's locks per process: a child that inherits an open connection believes in locks that only its parent has,
and loses commits without an error. So connections are closed before a fork, and opened again by whoever goes on."""

import os
import threading
from weakref import WeakSet

OPENING = threading.Lock()
"""Held while a connection is opened, and over a fork."""


class Forked:
    """Something that must know of forks, for as long as it lives."""

    def before_fork(self) -> None:
        """The process is about to fork; called on the thread that does it."""

    def in_parent(self) -> None:
        """The fork is over, here in the parent."""

    def in_child(self) -> None:
        """The fork is over, here in the child: no other thread lives, and any lock may have been left locked."""


_TOLD: WeakSet[Forked] = WeakSet()


def tell_of_forks(something: Forked) -> None:
    """Tell it of every fork from now on."""
    _TOLD.add(something)


def _before() -> None:
    OPENING.acquire()
    for something in list(_TOLD):
        something.before_fork()


def _in_parent() -> None:
    for something in list(_TOLD):
        something.in_parent()
    OPENING.release()


def _in_child() -> None:
    for something in list(_TOLD):
        something.in_child()
    OPENING.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)

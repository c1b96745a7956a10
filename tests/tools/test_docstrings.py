"""Descriptions from docstrings in three styles, and from none."""

import functools
import subprocess
import sys

import pytest

from segue.tools.docstrings import describe


def prose(a):
    """Refund one item.

    Only once: the second time is refused.
    """


def silent(a): ...


def google(item_id, reason="", *rest, **more):
    """Refund one item.

    Only once.

    Args:
        item_id (str): The id of the item,
            as found by look_up_item.
        reason: Why: in the customer's words.
        *rest: What else.
        **more: And more.

    Returns:
        Whether it worked.
    """


def numpy(item_id, low, high):
    """Refund one item.

    Only once.

    Parameters
    ----------
    item_id : str
        The id of the item,
        as found by look_up_item.
    low, high : int, optional
        The limits.

    Returns
    -------
    str
        Whether it worked.
    """


def sphinx(item_id, reason):
    """Refund one item.

    Only once.

    :param str item_id: The id of the item,
        as found by look_up_item.
    :param reason: Why.
    :type reason: str
    :returns: Whether it worked.
    """


def only_sections(a):
    """
    Args:
        a: The first.
    """


def looks_like_sections(a):
    """Answer like this:

    Note: be kind. Options: a, b.
    Args are described elsewhere; :param is a word.
    """


def no_words(a, b):
    """Do.

    Args:
        a:
        b: The second.
    """


def odd_elsewhere(a, b):
    """Do.

    Args:
        a: The first.

    Raises:
        ValueError

    Keyword Args:
        b: The second.
    """


def unreadable(a):
    """Do.

    Args:
        the first, and then
    """


BOTH = "Refund one item.\n\nOnly once."
ITEM = "The id of the item, as found by look_up_item."


@pytest.mark.parametrize(
    ("function", "description", "named"),
    [
        (prose, "Refund one item.\n\nOnly once: the second time is refused.", {}),
        (silent, "", {}),
        (google, BOTH, {"item_id": ITEM, "reason": "Why: in the customer's words.", "rest": "What else.", "more": "And more."}),
        (numpy, BOTH, {"item_id": ITEM, "low": "The limits.", "high": "The limits."}),
        (sphinx, BOTH, {"item_id": ITEM, "reason": "Why."}),
        (only_sections, "", {"a": "The first."}),
        (looks_like_sections, looks_like_sections.__doc__.strip().replace("\n    ", "\n"), {}),
        (odd_elsewhere, "Do.", {"a": "The first.", "b": "The second."}),
        (unreadable, "Do.", {}),
        (no_words, "Do.", {"b": "The second."}),
    ],
)
def test_a_docstring_gives_the_description_and_its_parameters(function, description, named):
    assert describe(function) == (description, named)


class Refund:
    """Refunds of one shop."""

    def __init__(self, shop=""): ...

    def all(self):
        """Refund all."""

    @classmethod
    def some(cls):
        """Refund some."""

    @staticmethod
    def one():
        """Refund one."""

    def silent(self): ...


class Called:
    """A class about calls."""

    def __call__(self):
        """Call it."""


class CalledSilently:
    """A class about calls."""

    def __call__(self): ...


class Inherited(Refund):
    def all(self): ...


@functools.wraps(prose)
def wrapped(*args): ...


@pytest.mark.parametrize(
    ("function", "description"),
    [
        (Refund().all, "Refund all."),
        (Refund.some, "Refund some."),
        (Refund.one, "Refund one."),
        (Refund().silent, ""),
        (Inherited().all, "Refund all."),
        (Called(), "Call it."),
        (CalledSilently(), "A class about calls."),
        (Refund, "Refunds of one shop."),
        (functools.partial(Refund().all), "Refund all."),
        (functools.partial(silent, 1), ""),
        (wrapped, describe(prose)[0]),
        (lambda a: a, ""),
    ],
)
def test_the_words_are_those_of_the_author_and_not_of_python(function, description):
    assert describe(function)[0] == description


def test_a_docstring_without_sections_does_not_load_the_parser():
    program = (
        "import sys\n"
        "from segue.tools.schema import parameters\n"
        "def refund(a: str):\n    'Refund one item.'\n"
        "parameters(refund, context_type=type('Context', (), {}))\n"
        "sys.exit('docstring_parser' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0

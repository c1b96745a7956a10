"""Tells pytest that Markdown pages are tests; `tests/pages.py` says how a page is run."""

import signal
from pathlib import Path

import pytest

from tests.pages import Page, paths

pytest_plugins = ["tests.postgres"]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a shell; some tests press Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> Page | None:
    """Take the pages; everything else is pytest's own."""
    return Page.from_parent(parent, path=file_path) if file_path in paths() else None

"""Tells pytest that Markdown pages are tests; `tests/pages.py` says how a page is run."""

from pathlib import Path

import pytest

from tests.pages import Page, paths

pytest_plugins = ["tests.postgres"]


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> Page | None:
    """Take the pages; everything else is pytest's own."""
    return Page.from_parent(parent, path=file_path) if file_path in paths() else None

"""The pytest plugin that an installed Segue brings: no test asks a real model by accident.
It stands beside the package and not in it, because pytest imports it at every start, also where Segue is not used."""

from collections.abc import Generator
from typing import Any

import pytest

OPTION = "segue_deny_model_requests"
MARKER = "allow_model_requests"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer the option with which a project's tests are kept from real models."""
    parser.addini(OPTION, f"Refuse requests to real models in every test that is not marked {MARKER}.", type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", f"{MARKER}: this test may ask real models, whatever {OPTION} says.")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Deny requests while a test and its fixtures run, where the project says so."""
    if not item.config.getini(OPTION) or item.get_closest_marker(MARKER):
        return (yield)
    from segue.testing import deny_model_requests as deny  # here, for projects that do not use Segue

    with deny():
        return (yield)


@pytest.fixture
def deny_model_requests() -> Generator[None]:
    """Refuse requests to real models in this test."""
    from segue.testing import deny_model_requests as deny  # here, for projects that do not use Segue

    with deny():
        yield

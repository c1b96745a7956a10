"""What the tests of commands have in common."""

from tests.cli.till import till

__all__ = ["till"]

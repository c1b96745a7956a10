"""How long the long tests are: `SEGUE_TEST_SCALE=0.05` makes a sweep a twentieth of its full length."""

import os


def scaled(count: int) -> int:
    """Give how many cases to run where the full sweep has `count`; at least one."""
    return max(1, round(count * float(os.environ.get("SEGUE_TEST_SCALE", "1"))))

"""The team over a shop in whose first refund the process is killed: the money is paid, and the journal has not heard of it.
The demonstration makes a refund with it in a process of its own: `segue resume ID segue.examples.acme.doomed:triage`.
"""

import os
import signal
from typing import Any

from segue import Context
from segue.examples.acme.shop import Shop
from segue.examples.acme.team import build


class DoomedShop(Shop):
    """A shop that does not live to tell of a refund."""

    def execute_refund(self, item_id: str, ctx: Context[Any], reason: str = "not provided") -> str:  # noqa: D102 - the shop's own words
        told = super().execute_refund(item_id, ctx, reason)
        os.kill(os.getpid(), signal.SIGKILL)
        return told


triage = build(DoomedShop(os.environ.get("ACME_DATABASE", ":memory:")))

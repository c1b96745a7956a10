"""A shop for those who chase roadrunners: triage, sales, and issues and repairs, over an SQLite database.
`segue.examples.acme:triage` is where its conversations begin.
"""

from segue.examples.acme.shop import Shop
from segue.examples.acme.team import build, triage

__all__ = ["Shop", "build", "triage"]

"""An airline's service desk: triage, booking, changes, cancellations and baggage, fourteen tools over an invented airline.
`segue.examples.airline:triage` is where its conversations begin; `build` makes the same team over another database.
"""

from segue.examples.airline.database import Database
from segue.examples.airline.service import Airline
from segue.examples.airline.team import build, triage
from segue.examples.airline.world import small_world

__all__ = ["Airline", "Database", "build", "small_world", "triage"]

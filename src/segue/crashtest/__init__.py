"""Crash tests: a scenario of the user's own team, played in processes that are killed at each of its points, and gone on with.
`segue crashtest` is the face of it. What Segue promises over a crash is tested by the same means."""

from segue.crashtest.points import Point, point_from, points_of
from segue.crashtest.report import Report, Result
from segue.crashtest.scenario import Scenario, read_scenario
from segue.crashtest.trials import Stage
from segue.crashtest.workers import make_trials

__all__ = ["Point", "Report", "Result", "Scenario", "Stage", "make_trials", "point_from", "points_of", "read_scenario"]

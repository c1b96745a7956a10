"""Swarm's shape, for programs that were written for it: change `from swarm import ...` to `from segue.swarm import ...`.
The loop below is Segue's. Two things differ: of several handoffs in one message the first wins, and an error of a function
is told to the model instead of ending the program."""

from segue.swarm.core import Swarm
from segue.swarm.repl import run_demo_loop
from segue.swarm.types import Agent, Response, Result

__all__ = ["Agent", "Response", "Result", "Swarm", "run_demo_loop"]

"""`segue graph TARGET`: who may hand over to whom, and with which tools."""

import shutil
import sys

import click

from segue.cli.safe import json_text, visible
from segue.cli.target import load
from segue.views import drawing
from segue.views.graph import graph as graph_of


@click.command()
@click.argument("target")
@click.option("-f", "--format", "form", type=click.Choice(["tree", "mermaid", "dot", "json"]), default="tree", show_default=True)
@click.option("--json", is_flag=True, help="The same as --format json.")
def graph(target: str, form: str, json: bool) -> None:
    """Draw a team of agents: its tools, and its handoffs.

    In the tree, an arrow up points to an agent that is drawn elsewhere. Handoffs may be conditional, carry a brief, or come
    back. Nothing is called, and no model is asked.
    """
    drawn = graph_of(load(target).team)
    match "json" if json else form:
        case "tree":
            click.echo(visible(drawing.tree(drawn, width=_width())))
        case "mermaid":
            click.echo(visible(drawing.mermaid(drawn)))
        case "dot":
            click.echo(visible(drawing.dot(drawn)))
        case _:
            click.echo(json_text(drawn.as_json(), indent=2))


def _width() -> int:
    return shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 100

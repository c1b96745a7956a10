"""A graph as text: a tree for terminals, Mermaid for Markdown, DOT for Graphviz. Nothing is read but the graph."""

from collections.abc import Iterator

from segue.views.graph import EdgeLine, Graph, ToolNode
from segue.views.words import one_line

_SAID = {"transfer": "", "call": "comes back", "function": "", "tool": "as a tool"}


def tree(graph: Graph, *, width: int = 100) -> str:
    """A tree from the entry agent on: each agent is drawn once, where the shortest way leads to it; `↑` points back to it."""
    parents = _parents(graph)
    lines = [_titled(graph, graph.entry), *_below(graph, parents, graph.entry, "", width)]
    for node in graph.agents:
        if node.name not in parents:
            lines += ["", f"{_titled(graph, node.name)}   (nothing leads to it)", *_below(graph, parents, node.name, "", width)]
    return "\n".join(lines)


def _titled(graph: Graph, name: str) -> str:
    model = next(node.model for node in graph.agents if node.name == name)
    return f"{name}   [{model}]" if model else name


def _below(graph: Graph, parents: dict[str, EdgeLine | None], name: str, lead: str, width: int) -> Iterator[str]:
    """What stands below an agent's name: its description, its tools, and the ways that lead on."""
    node = next(node for node in graph.agents if node.name == name)
    rows: list[ToolNode | EdgeLine] = [*node.tools, *graph.edges_from(name)]
    if node.description:
        rail = lead + ("│  " if rows else "   ")
        yield rail + one_line(node.description, max(20, width - len(rail)))
    pad = max((len(row.name) if isinstance(row, ToolNode) else len(row.target) + 3 for row in rows), default=0)
    for place, row in enumerate(rows):
        last = place == len(rows) - 1
        branch = lead + ("└─" if last else "├─")
        if isinstance(row, ToolNode):
            yield f"{branch} {row.name.ljust(pad)}   {row.effect}{', asks a person' if row.approve else ''}"
            continue
        here = parents.get(row.target) is row
        yield f"{branch}▶ {(row.target + ('' if here else ' ↑')).ljust(pad - 1)}   {_way(row)}"
        if here:
            yield from _below(graph, parents, row.target, lead + ("   " if last else "│  "), width)


def _parents(graph: Graph) -> dict[str, EdgeLine | None]:
    """The edge under which each agent is drawn: that of the shortest way from the entry agent, the first where there are several."""
    parents: dict[str, EdgeLine | None] = {graph.entry: None}
    waiting = [graph.entry]
    while waiting:
        for edge in graph.edges_from(waiting.pop(0)):
            if edge.target not in parents:
                parents[edge.target] = edge
                waiting.append(edge.target)
    return parents


def _way(edge: EdgeLine) -> str:
    return ", ".join([edge.tool, *_remarks(edge)])


def _remarks(edge: EdgeLine) -> list[str]:
    said = [_SAID[edge.kind], "conditional" if edge.conditional else "", "with a brief" if edge.brief else ""]
    return [word for word in said if word]


def mermaid(graph: Graph) -> str:
    """A Mermaid flowchart: dotted ways are conditional, thick ones come back."""
    ids = {node.name: f"a{place}" for place, node in enumerate(graph.agents)}
    lines = ["flowchart TD"]
    for node in graph.agents:
        label = "<br/>".join([f"<b>{_html(node.name)}</b>", *(_html(_tool_label(made)) for made in node.tools)])
        shape = f'(["{label}"])' if node.name == graph.entry else f'["{label}"]'
        lines.append(f"    {ids[node.name]}{shape}")
    for edge in graph.edges:
        arrow = "-.->" if edge.conditional else "==>" if edge.kind in ("call", "tool") else "-->"
        lines.append(f'    {ids[edge.source]} {arrow}|"{_html(_way(edge))}"| {ids[edge.target]}')
    return "\n".join(lines)


def dot(graph: Graph) -> str:
    """A Graphviz digraph: dashed ways are conditional, bold ones come back."""
    lines = ["digraph team {", "    graph [rankdir=LR]", '    node [shape=box, style=rounded, fontname="sans-serif"]']
    lines.append('    edge [fontname="sans-serif", fontsize=10]')
    for node in graph.agents:
        label = "\\n".join([_quoted(node.name), *(_quoted(_tool_label(made)) for made in node.tools)])
        entry = ", peripheries=2" if node.name == graph.entry else ""
        lines.append(f'    "{_quoted(node.name)}" [label="{label}"{entry}]')
    for edge in graph.edges:
        style = "dashed" if edge.conditional else "bold" if edge.kind in ("call", "tool") else "solid"
        lines.append(f'    "{_quoted(edge.source)}" -> "{_quoted(edge.target)}" [label="{_quoted(_way(edge))}", style={style}]')
    return "\n".join([*lines, "}"])


def _tool_label(made: ToolNode) -> str:
    return f"{made.name} ({made.effect}{', asks a person' if made.approve else ''})"


def _html(text: str) -> str:
    escapes = {"&": "#amp;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "\n": " "}
    return "".join(escapes.get(char, char) for char in text)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")

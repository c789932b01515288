"""A story as text, one line each, and as a sequence diagram: one HTML file that needs nothing else."""

from collections.abc import Sequence
from html import escape

from catenet.testing.simulator.story import Line

COLUMN = 190
ROW = 22
LEFT = 110
RIGHT = 120
TOP = 56
LINES_MAX = 2_000
"""More lines than this nobody reads: the last ones are shown."""

SHAPES = {"signs": "#2563eb", "decides": "#15803d", "starts": "#64748b", "crashes": "#b91c1c"}
"""Colour of what happens at a node."""

STYLE = """
body { font: 13px system-ui, sans-serif; margin: 24px; color: #0f172a; background: #fff }
pre { white-space: pre-wrap; max-width: 110ch; background: #f1f5f9; padding: 12px; border-radius: 6px }
text { font: 11px ui-monospace, monospace }
.life { stroke: #cbd5e1 } .down { stroke: #fecaca; stroke-width: 7 }
.message { stroke: #334155; marker-end: url(#head) } .lost { stroke: #b91c1c; stroke-dasharray: 4 3 }
.time { fill: #64748b } .name { font-weight: 600 }
"""


def as_text(lines: Sequence[Line]) -> str:
    """Return a story for a terminal: time, node, what happened."""
    return "\n".join([f"{line.at_us / 1e6:10.6f} s  {_say(line)}" for line in lines])


def _say(line: Line) -> str:
    if line.kind == "message":
        late = (line.at_us - line.sent_us) / 1000
        return f"node {line.peer} <- node {line.node}  {line.text}  ({late:.1f} ms)"
    if line.kind == "lost":
        return f"node {line.node} -x node {line.peer}  {line.text}  (lost)"
    return f"node {line.node} {line.kind} {line.text}".rstrip()


def as_html(lines: Sequence[Line], *, title: str, fault: str, nodes: Sequence[str]) -> str:
    """Return a page with one column a node, time downwards; `nodes` names them in order of their places."""
    shown = list(lines)[-LINES_MAX:]
    height, width = TOP + ROW * (len(shown) + 2), LEFT + COLUMN * len(nodes) + RIGHT
    parts = [_life(place, name, height) for place, name in enumerate(nodes)]
    parts += _downtimes(shown, height)
    parts += [_row(line, TOP + ROW * (row + 1)) for row, line in enumerate(shown)]
    left_out = len(lines) - len(shown)
    note = f"<p>The first {left_out:,} lines are left out.</p>" if left_out else ""
    head = (
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0L8 4L0 8z" fill="#334155"/></marker></defs>'
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style><h1>{escape(title)}</h1><pre>{escape(fault)}</pre>{note}"
        f'<svg width="{width}" height="{height}" role="img" aria-label="{escape(title)}">'
        f"{head}{''.join(parts)}</svg></html>\n"
    )


def _x(place: int) -> int:
    return LEFT + COLUMN * place + COLUMN // 2


def _life(place: int, name: str, height: int) -> str:
    x = _x(place)
    return (
        f'<text class="name" x="{x}" y="24" text-anchor="middle">{escape(name)}</text>'
        f'<line class="life" x1="{x}" y1="34" x2="{x}" y2="{height}"/>'
    )


def _downtimes(lines: Sequence[Line], height: int) -> list[str]:
    """Return a broad bar for each time in which a node was down."""
    since: dict[int, int] = {}
    bars = []

    def bar(node: int, end: int) -> None:
        x = _x(node)
        bars.append(f'<line class="down" x1="{x}" y1="{since.pop(node)}" x2="{x}" y2="{end}"/>')

    for row, line in enumerate(lines):
        y = TOP + ROW * (row + 1)
        if line.kind == "crashes":
            since[line.node] = y
        elif line.kind == "starts" and line.node in since:
            bar(line.node, y)
    for node in list(since):
        bar(node, height)
    return bars


def _row(line: Line, y: int) -> str:
    time = f'<text class="time" x="8" y="{y + 4}">{line.at_us / 1e6:.4f} s</text>'
    title = f"<title>{escape(_say(line))}</title>"
    if line.peer >= 0:
        start, end = _x(line.node), _x(line.peer)
        short = (start + end) // 2 if line.kind == "lost" else end
        label = escape(line.text) + (" ✗" if line.kind == "lost" else "")
        return (
            f'<g>{title}{time}<line class="{line.kind}" x1="{start}" y1="{y}" x2="{short}" y2="{y}"/>'
            f'<text x="{(start + end) // 2}" y="{y - 4}" text-anchor="middle">{label}</text></g>'
        )
    x, colour = _x(line.node), SHAPES.get(line.kind, "#0f172a")
    label = escape(f"{line.kind} {line.text}".strip())
    return (
        f'<g>{title}{time}<circle cx="{x}" cy="{y}" r="4" fill="{colour}"/>'
        f'<text x="{x + 9}" y="{y + 4}" fill="{colour}">{label}</text></g>'
    )

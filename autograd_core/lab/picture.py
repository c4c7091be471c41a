"""Graphs as pictures: text, SVG by a layout of our own, DOT for those who have Graphviz, and PNG through it."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from ..models import is_module
from ..tensor import Tensor
from ..tree import flatten
from .folding import graph
from .graph import (
    CALL,
    CONSTANT,
    INPUT,
    MODULE,
    PARAMETER,
    Call,
    Graph,
    Vertex,
    derivatives,
    taped,
    watched,
)
from .layout import Group, corner, place

LETTER, LINE, PAD = 6.7, 15.0, 9.0  # the width of a letter, the height of a line, around the text of a box
FILLS = {INPUT: "#d7ead9", PARAMETER: "#fdf3cf", CONSTANT: "#eeeeee", CALL: "#ffffff", MODULE: "#dfe6f5"}
SHADES = "#f7f8fb", "#eef0f6"  # of groups inside groups
STYLE = "font-family:ui-monospace,Menlo,Consolas,monospace;font-size:11px"


class Drawing:
    """The graph of a result, a function or a module; `print` shows it as text, notebooks as a picture."""

    def __init__(self, shown: Graph):
        self.graph = shown

    def __str__(self) -> str:
        return _text(self.graph)

    __repr__ = __str__

    def to_svg(self) -> str:
        """The picture as SVG."""
        return _svg(self.graph)

    _repr_svg_ = to_svg

    def to_dot(self) -> str:
        """The graph in the language of Graphviz, modules as clusters."""
        return _dot(self.graph)

    def to_png(self, resolution: int = 96) -> bytes:
        """The picture as PNG, drawn by Graphviz."""
        if shutil.which("dot") is None:
            raise FileNotFoundError(
                "draw: PNG needs Graphviz, whose program `dot` is not to be found: install graphviz"
            )
        command = ["dot", "-Tpng", f"-Gdpi={resolution}"]
        return subprocess.run(command, input=self.to_dot().encode(), capture_output=True, check=True).stdout

    def save(self, path: Any) -> None:
        """Write a file of the kind that its name says: .svg, .dot, .png or .txt."""
        kinds: dict[str, Callable] = {
            ".svg": self.to_svg,
            ".dot": self.to_dot,
            ".png": self.to_png,
            ".txt": self.__str__,
        }
        suffix = Path(path).suffix
        if suffix not in kinds:
            raise ValueError(f"draw: a drawing can be saved as {', '.join(kinds)}, not as {Path(path).name!r}")
        content = kinds[suffix]()
        Path(path).write_bytes(content if isinstance(content, bytes) else content.encode())


def draw(
    what: Any,
    *args: Any,
    depth: int | None = None,
    names: Any = None,
    derivatives_on_edges: bool = False,
    parameters: bool | None = None,
) -> Drawing:
    """The graph of a result as the tape holds it, or of a function or module as it runs on the arguments.

    `depth` is how many levels of modules are open: those further down are one box each; without it as many as can be
    read, and what repeats in a row is one box where that is not enough.  `names` says what tensors are called: a module
    or a dict.  With `derivatives_on_edges` each edge between numbers has its local derivative, each other one the size of the
    gradient that flows back along it.  `parameters` says whether they have boxes of their own; in modules they do not.
    """
    if depth is not None and not (isinstance(depth, int) and depth >= 0):
        raise ValueError(f"draw: depth is how many levels are open, a whole number from 0 on, or None; got {depth!r}")
    tensors = (
        [t for t in flatten(what)[0] if isinstance(t, Tensor)] if not callable(what) or isinstance(what, Tensor) else []
    )
    if tensors:
        if args:
            raise TypeError("draw: a result is drawn as it was made; to run a function on arguments, give the function")
        items = taped(tensors, {id(t.node): n for t, n in _names_of(names)})
    elif callable(what):
        items = watched(what, args, {id(t): n for t, n in _names_of(names)})
    else:
        raise TypeError(f"draw: expected a Tensor, a module or a function, got {type(what).__name__}")
    shown = not is_module(what) if parameters is None else parameters
    labels = derivatives(items) if derivatives_on_edges else {}
    return Drawing(graph(items, depth, shown, labels))


def _names_of(names: Any) -> list[tuple[Tensor, str]]:
    if names is None:
        return []
    if hasattr(names, "named_parameters"):
        return [(t, n) for n, t in names.named_parameters()]
    if not isinstance(names, Mapping) or not all(isinstance(t, Tensor) for t in names.values()):
        raise TypeError("draw: names must be a module, or a dict from names to tensors")
    return [(t, n) for n, t in names.items()]


# --- text ------------------------------------------------------------------------------------------------------------


def _text(g: Graph) -> str:
    """A line for each box, in the order in which they ran, inside their modules."""
    lines: list[str] = []
    arriving: dict[Vertex, list[tuple[str, str]]] = defaultdict(list)
    for (a, b), text in g.edges.items():
        arriving[b].append((a.name, text))
    around: list[Call] = []
    for v in g.vertices:
        shared = sum(1 for a, b in zip(around, v.chain) if a is b)
        lines += ["  " * k + c.title for k, c in enumerate(v.chain) if k >= shared]
        around = v.chain
        given = ", ".join(name for name, _ in arriving[v])
        what = v.title if v.title == v.name else f"{v.name} = {v.title}"
        slopes = [f"d/d{name} = {text}" for name, text in arriving[v] if text]
        parts = [f"{what}({given})" if given else what, *v.texts, *slopes, *(["result"] if v.result else [])]
        lines.append("  " * len(v.chain) + "   ".join(parts))
    return "\n".join(lines)


# --- DOT -------------------------------------------------------------------------------------------------------------


def _dot(g: Graph) -> str:
    """Boxes in clusters, then edges."""
    number = {v: f"v{k}" for k, v in enumerate(g.vertices)}
    clusters: dict[Call | None, list] = {None: []}
    for v in g.vertices:
        for outer, inner in zip([None, *v.chain], v.chain):
            if inner not in clusters:
                clusters[inner] = []
                clusters[outer].append(inner)
        clusters[v.chain[-1] if v.chain else None].append(v)
    edges = [f"  {number[a]} -> {number[b]}{_attributes(label=text)};" for (a, b), text in g.edges.items()]
    body = _cluster(None, clusters, number, "  ")
    head = ["digraph {", '  node [shape=box, style="filled,rounded", fontname=monospace, fontsize=10];']
    return "\n".join([*head, "  edge [fontname=monospace, fontsize=9];", *body, *edges, "}"]) + "\n"


def _cluster(call: Call | None, clusters: dict, number: dict, indent: str) -> list[str]:
    lines = []
    for part in clusters[call]:
        if isinstance(part, Vertex):
            width = "2" if part.result else ""
            label = "\n".join([part.title, *part.texts])
            lines.append(
                f"{indent}{number[part]}{_attributes(label=label, fillcolor=FILLS[part.kind], penwidth=width)};"
            )
        else:
            inner = _cluster(part, clusters, number, indent + "  ")
            name = f"cluster_{id(part):x}"
            lines += [f"{indent}subgraph {name} {{", f"{indent}  label={_quoted(part.title)};", *inner, f"{indent}}}"]
    return lines


def _attributes(**values: str) -> str:
    given = [f"{k}={_quoted(v)}" for k, v in values.items() if v]
    return f" [{', '.join(given)}]" if given else ""


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


# --- SVG -------------------------------------------------------------------------------------------------------------


def _svg(g: Graph) -> str:
    """Groups behind, then edges, then boxes."""
    root, groups = _grouped(g)
    ways = place(root, g.edges)
    parts = [_frame(group, len(call.chain())) for call, group in groups.items()]
    arriving = Counter(b for _, b in g.edges)
    parts += [_edge(points, g.edges[edge], arriving[edge[1]] > 1) for edge, points in ways.items()]
    parts += [_box(v) for v in g.vertices]
    width, height = root.width + 8, root.height + 8
    arrow = '<marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    view = f'width="{width:.0f}" height="{height:.0f}" viewBox="-4 -4 {width:.0f} {height:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {view} style="{STYLE}">'
    tip = f'<defs>{arrow}<path d="M0 0 8 4 0 8z" fill="#556"/></marker></defs>'
    return (
        "\n".join([head, tip, '<rect x="-4" y="-4" width="100%" height="100%" fill="#ffffff"/>', *parts, "</svg>"])
        + "\n"
    )


def _grouped(g: Graph) -> tuple[Group, dict[Call, Group]]:
    """Boxes with their sizes, inside groups for the modules that are open."""
    root, groups = Group(), {}
    for v in g.vertices:
        texts = [v.title, *v.texts]
        v.width = max(max(map(len, texts)) * LETTER + 2 * PAD, 44.0)
        v.height = len(texts) * LINE + PAD
        inside = root
        for call in v.chain:
            if call not in groups:
                groups[call] = Group(title=call.title)
                inside.add(groups[call])
            inside = groups[call]
        inside.add(v)
    return root, groups


def _frame(group: Group, level: int) -> str:
    x, y = corner(group)
    shape = f'<rect x="{x:.1f}" y="{y:.1f}" width="{group.width:.1f}" height="{group.height:.1f}" rx="8"'
    title = f'<text x="{x + 8:.1f}" y="{y + 14:.1f}" fill="#667" font-weight="bold">{escape(group.title)}</text>'
    return f'{shape} fill="{SHADES[level % 2]}" stroke="#c3c8d6"/>{title}'


def _edge(points: list[tuple[float, float]], text: str, meets: bool) -> str:
    """A line that is vertical where it leaves, passes and arrives; its label is on the side away from those it meets."""
    (x, y), path = points[0], [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for a, b in points[1:]:
        middle = (y + b) / 2
        path.append(f"L{a:.1f} {b:.1f}" if a == x else f"C{x:.1f} {middle:.1f} {a:.1f} {middle:.1f} {a:.1f} {b:.1f}")
        x, y = a, b
    line = f'<path d="{" ".join(path)}" fill="none" stroke="#556" marker-end="url(#arrow)"/>'
    if not text:
        return line
    (x, y), (a, b) = points[-2:]
    side, anchor = (-5, "end") if (a < x) != meets else (5, "start")
    far = 0.68 if meets else 0.5
    place = f'x="{x + far * (a - x) + side:.1f}" y="{y + far * (b - y) + 3:.1f}" text-anchor="{anchor}"'
    halo = 'paint-order="stroke" stroke="#ffffff" stroke-width="3"'
    return f'{line}<text {place} fill="#a33" font-size="10" {halo}>{escape(text)}</text>'


def _box(v: Vertex) -> str:
    left, top = corner(v)
    border = 'stroke="#223" stroke-width="2"' if v.result else 'stroke="#889"'
    shape = f'<rect x="{left:.1f}" y="{top:.1f}" width="{v.width:.1f}" height="{v.height:.1f}" rx="5"'
    texts = [
        f'<text x="{left + v.width / 2:.1f}" y="{top + PAD / 2 + LINE * (k + 0.75):.1f}" text-anchor="middle"'
        f"{' font-weight=' + chr(34) + 'bold' + chr(34) if k == 0 else ' fill=' + chr(34) + '#445' + chr(34)}>{escape(t)}</text>"
        for k, t in enumerate([v.title, *v.texts])
    ]
    return f'{shape} fill="{FILLS[v.kind]}" {border}/>{"".join(texts)}'

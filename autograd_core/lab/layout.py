"""Where the boxes of a graph go: layers from top to bottom, boxes inside boxes, few crossings, straight lines.

Each group is laid out by itself and then is one large box among those around it.  A line that crosses the border of a
group does so at a port, which takes part in the layout inside as a point in the first layer or the last, and a line
that passes a layer has a point of its own in it.  So no line runs through a box.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field

GAP, RISE, MARGIN, TITLE = 18.0, 34.0, 12.0, 20.0  # between boxes, between layers, inside a group, for its title
SWEEPS = 12


@dataclass(eq=False)
class Box:
    """Something with a size that gets a place: x and y are of its middle and its top, in the group that holds it."""

    width: float = 0.0
    height: float = 0.0
    x: float = 0.0
    y: float = 0.0
    inside: Group | None = None


@dataclass(eq=False)
class Group(Box):
    """A box with boxes in it; `top` and `bottom` are the points where lines from outside come in and go out."""

    boxes: list[Box] = field(default_factory=list)
    title: str = ""
    top: dict[Hashable, Box] = field(default_factory=dict)
    bottom: dict[Hashable, Box] = field(default_factory=dict)
    lines: dict[tuple[Box, Box], list[Box]] = field(default_factory=dict)  # the points between two boxes

    def add(self, box: Box) -> None:
        """Hold one more box."""
        box.inside = self
        self.boxes.append(box)


def place(root: Group, edges: Iterable[tuple[Box, Box]]) -> dict[tuple[Box, Box], list[tuple[float, float]]]:
    """Give every box its place, and for each edge the points on its way, in the coordinates of the whole."""
    edges = list(dict.fromkeys(edges))
    routes = {edge: _route(*edge) for edge in edges}
    local: dict[Group, dict] = defaultdict(dict)  # the pieces of edges in each group, each once, in order
    for route in routes.values():
        for group, a, b in route:
            local[group][a, b] = None
    _arrange(root, local)
    return {edge: _points(edge, route) for edge, route in routes.items()}


def _above(box: Box) -> list[Group]:
    """The groups around a box, outermost first."""
    found = []
    while box.inside is not None:
        box = box.inside
        found.append(box)
    return found[::-1]


def _route(a: Box, b: Box) -> list[tuple[Group, Box, Box]]:
    """The pieces of an edge: out of the groups of a, across the one that holds both, and into those of b."""
    ours, theirs = _above(a), _above(b)
    shared = sum(1 for g, h in zip(ours, theirs) if g is h)
    pieces, start, end = [], a, b
    for group in reversed(ours[shared:]):
        pieces.append((group, start, group.bottom.setdefault(a, Box())))
        start = group
    for group in reversed(theirs[shared:]):
        pieces.append((group, group.top.setdefault(a, Box()), end))
        end = group
    inward = [p for p in pieces if p[1] in p[0].top.values()]
    outward = [p for p in pieces if p not in inward]
    return [*outward, (ours[shared - 1], start, end), *inward[::-1]]


def _arrange(group: Group, local: dict[Group, dict]) -> None:
    """Lay out a group, the groups in it first."""
    for box in group.boxes:
        if isinstance(box, Group):
            _arrange(box, local)
    edges = list(local[group])
    boxes = [*group.top.values(), *group.boxes, *group.bottom.values()]
    layers = _layers(group, boxes, edges)
    links = _with_points(group, layers, edges)
    _order(layers, links)
    _across(layers, links)
    _down(group, layers)


def _layers(group: Group, boxes: list[Box], edges: list) -> list[list[Box]]:
    """Each box below all that lead to it; what nothing leads to, just above what it leads to."""
    before, after = defaultdict(list), defaultdict(list)
    for a, b in edges:
        before[b].append(a)
    order = {box: k for k, box in enumerate(_sorted(boxes, before))}
    before = defaultdict(list, {b: [a for a in found if order[a] < order[b]] for b, found in before.items()})
    for b, found in before.items():
        for a in found:
            after[a].append(b)
    depth: dict[Box, int] = {}
    entries, exits = set(group.top.values()), set(group.bottom.values())
    for box in order:
        depth[box] = max([depth[a] + 1 for a in before[box]] + [1 if entries and box not in entries else 0])
    for box in boxes:
        if not before[box] and after[box] and box not in entries:
            depth[box] = max(min(depth[b] for b in after[box]) - 1, 0)
    last = max(depth.values(), default=0)
    for box in exits:
        depth[box] = max([last + 1, *(depth[b] for b in exits)]) if exits else last
    layers: list[list[Box]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for box in boxes:
        layers[depth[box]].append(box)
    return layers


def _sorted(boxes: list[Box], before: dict) -> list[Box]:
    """In an order in which nothing comes before what leads to it, except in circles; not recursive: chains may be long."""
    done: dict[Box, None] = {}
    begun: set[Box] = set()
    for box in boxes:
        stack = [box]
        while stack:
            waiting = [a for a in before[stack[-1]] if a not in begun]
            begun.add(stack[-1])
            begun.update(waiting[:1])
            if waiting:
                stack.append(waiting[0])
            else:
                done.setdefault(stack.pop())
    return list(done)


def _with_points(group: Group, layers: list[list[Box]], edges: list) -> list[tuple[Box, Box]]:
    """The edges, those that pass layers replaced by pieces from point to point."""
    depth = {box: k for k, layer in enumerate(layers) for box in layer}
    links = []
    for a, b in edges:
        points = [Box(inside=group) for _ in range(depth[a] + 1, depth[b])]
        for k, point in enumerate(points, depth[a] + 1):
            layers[k].append(point)
        group.lines[a, b] = points
        links += zip([a, *points], [*points, b])
    return links


def _order(layers: list[list[Box]], links: list) -> None:
    """Sort each layer by where its neighbours are, down and up in turn."""
    before, after = defaultdict(list), defaultdict(list)
    for a, b in links:
        before[b].append(a)
        after[a].append(b)
    rank: dict[Box, float] = {}
    for layer in layers:
        _number(layer, rank)
    for sweep in range(SWEEPS):
        near, order = (before, layers[1:]) if sweep % 2 == 0 else (after, layers[-2::-1])
        for layer in order:
            means = {b: sum(rank[n] for n in near[b]) / len(near[b]) if near[b] else rank[b] for b in layer}
            layer.sort(key=means.__getitem__)
            _number(layer, rank)


def _number(layer: list[Box], rank: dict[Box, float]) -> None:
    """Say how far along its layer each box is."""
    for k, box in enumerate(layer):
        rank[box] = k / max(len(layer) - 1, 1)


def _across(layers: list[list[Box]], links: list) -> None:
    """Put each box as near below and above its neighbours as the others of its layer allow."""
    before, after = defaultdict(list), defaultdict(list)
    for a, b in links:
        before[b].append(a)
        after[a].append(b)
    for layer in layers:
        _settle(layer, [0.0] * len(layer), [1.0] * len(layer))
    for sweep in range(2 * SWEEPS + 1):
        near, order = (before, layers) if sweep % 2 == 0 else (after, layers[::-1])
        for layer in order:
            wanted = [sum(n.x for n in near[b]) / len(near[b]) if near[b] else b.x for b in layer]
            _settle(layer, wanted, [1.0 if b.width else 8.0 for b in layer])


def _settle(layer: list[Box], wanted: Sequence[float], weights: Sequence[float]) -> None:
    """Least squares from where the boxes want to be, in their order and without overlap: blocks that push are merged."""
    offsets, blocks = [0.0], []  # a block: weighted sum of wishes, weight, number of boxes
    for a, b in zip(layer, layer[1:]):
        offsets.append(offsets[-1] + (a.width + b.width) / 2 + GAP)
    for want, offset, weight in zip(wanted, offsets, weights):
        blocks.append([(want - offset) * weight, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] > blocks[-1][0] / blocks[-1][1]:
            total, weight, count = blocks.pop()
            blocks[-1] = [blocks[-1][0] + total, blocks[-1][1] + weight, blocks[-1][2] + count]
    starts = [total / weight for total, weight, count in blocks for _ in range(count)]
    for box, start, offset in zip(layer, starts, offsets):
        box.x = start + offset


def _down(group: Group, layers: list[list[Box]]) -> None:
    """Stack the layers, and give the group the size of what is in it."""
    y = TITLE if group.title else 0.0
    for layer in layers:
        height = max((box.height for box in layer), default=0.0)
        ports = not any(box.height for box in layer)
        for box in layer:
            box.y = y + (0.0 if box in group.top.values() else (height - box.height) / 2)
            if not box.width:
                box.y, box.height = y, height  # a line runs through the whole layer
        y += height + (RISE / 2 if ports else RISE)
    left = min((b.x - b.width / 2 for layer in layers for b in layer), default=0.0)
    right = max((b.x + b.width / 2 for layer in layers for b in layer), default=0.0)
    for layer in layers:
        for box in layer:
            box.x += MARGIN - left
    group.width = max(right - left + 2 * MARGIN, 7.5 * len(group.title) + 2 * MARGIN)
    group.height = y - RISE / 2 if layers else 0.0


def corner(box: Box) -> tuple[float, float]:
    """Where the coordinates inside a box begin, in those of the whole."""
    x = y = 0.0
    while box.inside is not None:
        x, y = x + box.x - box.width / 2, y + box.y
        box = box.inside
    return x, y


def _points(edge: tuple[Box, Box], route: list) -> list[tuple[float, float]]:
    """From the bottom of a box to the top of another."""
    found = []
    for group, a, b in route:
        left, top = corner(group)
        if a is edge[0]:
            found.append((left + a.x, top + a.y + a.height))
        for point in group.lines[a, b]:
            found += [(left + point.x, top + point.y), (left + point.x, top + point.y + point.height)]
        if b in group.bottom.values():
            found.append((left + b.x, top + group.height))
        elif isinstance(b, Group):
            found.append((left + b.x - b.width / 2 + b.top[edge[0]].x, top + b.y))
        elif b is edge[1]:
            found.append((left + b.x, top + b.y))
    return found

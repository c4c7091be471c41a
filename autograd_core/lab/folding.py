"""How much of a drawing is shown: the depth of modules, and what repeats in a row as one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from .graph import MODULE, Call, Graph, Item, Vertex, boxes_at, kept_bytes

FEW, MOST = 20, 60  # boxes: so few that all is shown, so many that can be taken in


def graph(items: list[Item], depth: int | None, parameters: bool, labels: dict[tuple[Item, Item], str]) -> Graph:
    """The boxes at a depth of modules; if none is given, the greatest at which there are few enough to be read."""
    kept = kept_bytes(items)
    if depth is not None:
        return boxes_at(items, depth, parameters, labels, kept)
    deepest = max((len(item.chain) for item in items), default=0)
    depths = range(deepest, 0, -1)
    found = boxes_at(items, deepest, parameters, labels, kept)
    for fold in (stacked, None, folded) if len(found.vertices) > FEW else ():
        for d in depths:
            whole = boxes_at(items, d, parameters, labels, kept, whole=True)
            found = fold(whole) if fold else whole
            if len(found.vertices) <= MOST and (fold is not stacked or len(found.vertices) < len(whole.vertices)):
                return found
    return found


def stacked(g: Graph) -> Graph:
    """The graph with modules that repeat in a row as the first of them, with what happens in it."""
    while run := next((run for run in _rows(g) if _links(g, run) is not None), None):
        g = _stacked(g, run)
    return g


def _rows(g: Graph) -> Iterator[list[tuple[Call, list[Vertex]]]]:
    """Three or more calls of one module's parts, one after the other, in which the same happens; the innermost first."""
    members: dict[Call, list[Vertex]] = {}
    for v in g.vertices:
        for call in v.chain:
            members.setdefault(call, []).append(v)
    after: dict[Vertex, list[Vertex]] = defaultdict(list)
    for a, b in g.edges:
        after[a].append(b)
    depth = lambda call: len(call.chain())
    rows: dict[Any, list] = {}
    for call, inside in sorted(members.items(), key=lambda item: -depth(item[0])):
        rows.setdefault((call.parent, depth(call), _likeness(after, call, inside)), []).append((call, inside))
    yield from (row for row in rows.values() if len(row) >= 3)


def _likeness(after: dict[Vertex, list[Vertex]], call: Call, inside: list[Vertex]) -> tuple:
    """What happens in a call, without names."""
    place = {v: k for k, v in enumerate(inside)}
    edges = sorted((place[a], place[b]) for a in inside for b in after[a] if b in place)
    below = lambda v: tuple(type(c.module) for c in v.chain[v.chain.index(call) :])
    return (*((*v.likeness[:-1], below(v)) for v in inside), *edges)


def _links(g: Graph, row: list[tuple[Call, list[Vertex]]]) -> set | None:
    """The edges from each call to the next, if these are alike and there are no others but at both ends."""
    place = {v: (k, i) for k, (_, inside) in enumerate(row) for i, v in enumerate(inside)}
    links: dict[int, set] = defaultdict(set)
    found = set()
    for a, b in g.edges:
        (k, i), (n, j) = place.get(a, (-1, 0)), place.get(b, (len(row), 0))
        if k != n and (a in place or b in place):
            if n != k + 1:
                return None
            links[n].add((i, j))
            found.update({(a, b)} if a in place and b in place else ())
    return found if found and all(links[n] == links[1] for n in range(1, len(row))) else None


def _stacked(g: Graph, row: list[tuple[Call, list[Vertex]]]) -> Graph:
    first, last, links = row[0], row[-1], _links(g, row) or set()
    names = [call.path.rpartition(".")[2] for call, _ in (first, last)]
    label = f"{names[0]} to {names[1]}: {len(row)} x {type(first[0].module).__name__}"
    one = Call(first[0].path, first[0].module, first[0].parent, label)
    stands = {v: w for _, inside in row for v, w in zip(inside, first[1])}
    for v, end in zip(first[1], last[1]):
        v.chain, v.result = [one if call is first[0] else call for call in v.chain], end.result
    edges = {(stands.get(a, a), stands.get(b, b)): text for (a, b), text in g.edges.items() if (a, b) not in links}
    return Graph(list(dict.fromkeys(stands.get(v, v) for v in g.vertices)), edges)


def folded(g: Graph) -> Graph:
    """The graph with boxes that repeat in a row, one alike or several in turn, as one."""
    after: dict[Vertex, list[Vertex]] = defaultdict(list)
    arriving = Counter(b for _, b in g.edges)
    for a, b in g.edges:
        after[a].append(b)
    next_in_row = {v: found[0] for v, found in after.items() if len(found) == 1 == arriving[found[0]]}
    followers = set(next_in_row.values())
    heads = [v for v in g.vertices if v not in followers]
    replaced: dict[Vertex, Vertex] = {}
    for head in heads:
        row = [head]
        while row[-1] in next_in_row:
            row.append(next_in_row[row[-1]])
        replaced.update(_fold(row))
    edges: dict[tuple[Vertex, Vertex], str] = {}
    for (a, b), text in g.edges.items():
        a, b = replaced.get(a, a), replaced.get(b, b)
        if a is not b:
            edges[a, b] = text
    return Graph(list(dict.fromkeys(replaced.get(v, v) for v in g.vertices)), edges)


def _fold(row: list[Vertex]) -> dict[Vertex, Vertex]:
    """For each box of a run of repeats, the box that stands for all of them."""
    found, start = {}, 0
    while start < len(row):
        period, times = max(((p, _times(row, start, p)) for p in range(1, 9)), key=lambda c: (c[0] * c[1], -c[0]))
        if times >= 3:
            run = row[start : start + period * times]
            kinds = " → ".join(v.title.rpartition(": ")[2] for v in run[:period])
            one = Vertex(title=f"{times} x [{kinds}]", kind=MODULE, form=run[-1].form, chain=run[0].chain)
            one.notes = [f"{run[0].title.partition(':')[0]} to {run[-1].title.partition(':')[0]}"]
            one.parameters, one.kept = sum(v.parameters for v in run), sum(v.kept for v in run)
            one.name, one.result = run[-1].name, any(v.result for v in run)
            found.update(dict.fromkeys(run, one))
        start += period * times if times >= 3 else 1
    return found


def _times(row: list[Vertex], start: int, period: int) -> int:
    """How often the boxes from a place on repeat."""
    pattern, times = [v.likeness for v in row[start : start + period]], 0
    while pattern and [v.likeness for v in row[start + times * period :][:period]] == pattern:
        times += 1
    return times if times >= 3 else 0

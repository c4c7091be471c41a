"""What a drawing shows: boxes for operations or whole modules, and edges, out of a run that was watched or out of the tape."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..backward import fitted, pullback
from ..forward import pushforward
from ..functional import stand_in
from ..models import as_it_was, is_module
from ..op import Traced
from ..reach import ancestors
from ..tape import Leaf, Node, Pick, current, enable_grad, memory, no_grad, using
from ..tensor import Tensor, at, node_of
from ..tree import flatten
from .layout import Box
from .table import shown
from .trace import CALL, CONSTANT, INPUT, PARAMETER, Line, Recorder, _names

MODULE, RESULT = "module", "result"


@dataclass(eq=False)
class Call:
    """One call of a module: where it is in the model, and inside which other call."""

    path: str
    module: Any
    parent: Call | None = None
    label: str = ""  # of one that stands for several

    @property
    def title(self) -> str:
        """Its own name and its class."""
        kind = type(self.module).__name__
        return self.label or f"{self.path.rpartition('.')[2]}: {kind}" if self.path else kind

    def chain(self) -> list[Call]:
        """The calls around it and itself, outermost first."""
        found, call = [], self
        while call is not None:
            found.append(call)
            call = call.parent
        return found[::-1]


@dataclass(eq=False)
class Item:
    """An input, a parameter, a constant or an operation."""

    name: str
    kind: str
    title: str
    shape: tuple
    dtype: Any
    value: np.ndarray | None = None
    operands: list[Item] = field(default_factory=list)
    node: Any = None
    chain: list[Call] = field(default_factory=list)
    line: Line | None = None
    result: bool = False
    used_by: set[Item] = field(default_factory=set)

    def __post_init__(self) -> None:
        for operand in self.operands:
            operand.used_by.add(self)

    @property
    def form(self) -> str:
        """Its value, if that is one number; else shape and type."""
        if self.dtype is None:
            return ""
        return shown(self.value) if self.value is not None and not self.shape else f"{_shape(self.shape)} {self.dtype}"


def _shape(shape: tuple) -> str:
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"


# --- out of a run, or of the tape ------------------------------------------------------------------------------------


def watched(f: Callable, args: tuple, names: dict[int, str]) -> list[Item]:
    """Run a function or a module, and tell what it did."""
    leaves, rebuild = flatten(args)
    xs = [_stand_in(x) for x in leaves]
    target = f.forward if is_module(f) else f
    names = {**_named(f), **names, **{id(x): n for x, n in zip(xs, _names(target, args, range(len(args))))}}
    recorder = Recorder(keep=1, names=names)
    for x in xs:
        if isinstance(x, Tensor):
            recorder.add(INPUT, x)
    with ExitStack() as stack:
        if is_module(f):
            stack.enter_context(as_it_was(f))
            for path, module in f.named_modules():
                _follow(path, module, recorder, stack)
        stack.enter_context(enable_grad())
        stack.enter_context(using(observers=(*current().observers, recorder)))
        results = flatten(f(*rebuild(xs)))[0]
    ends = {recorder.line(y) for y in results if isinstance(y, Tensor)}
    items: dict[Line, Item] = {}
    for line in recorder.lines:
        operands = [items[a] for a in line.args if isinstance(a, Line)]
        chain = line.group.chain() if line.group else []
        title = line.name if line.op is None else line.operation
        items[line] = Item(line.name, line.kind, title, line.shape, line.dtype, line.value, operands, line.node, chain)
        items[line].line, items[line].result = line, line in ends
    return list(items.values())


def _stand_in(x: Any) -> Any:
    if isinstance(x, (Tensor, np.ndarray)) and x.dtype.kind not in "fc":
        return x if isinstance(x, Tensor) else at(x)
    return stand_in(x, "draw", "an argument") if isinstance(x, (Traced, np.ndarray, int, float, complex)) else x


def _named(f: Any) -> dict[int, str]:
    """The names of a model's tensors."""
    kinds = [getattr(f, kind)() for kind in ("named_parameters", "named_buffers") if hasattr(f, kind)]
    return {id(t): name for found in kinds for name, t in found}


def _follow(path: str, module: Any, recorder: Recorder, stack: ExitStack) -> None:
    """Be told when a module is entered and left."""

    def entering(module: Any, args: tuple) -> None:
        recorder.groups.append(Call(path, module, recorder.groups[-1] if recorder.groups else None))

    def leaving(module: Any, args: tuple, y: Any) -> None:
        recorder.groups.pop()

    stack.callback(module.register_forward_pre_hook(entering, prepend=True).remove)
    stack.callback(module.register_forward_hook(leaving, always_call=True).remove)


def taped(results: Sequence[Tensor], names: dict[int, str]) -> list[Item]:
    """What the tape holds of how some results were made."""
    roots = {node_of(y): y for y in results if y.requires_grad}
    if not roots:
        raise ValueError("draw: the result has no history: nothing that it was made from requires gradients")
    items: dict[Any, Item] = {}
    for k, node in enumerate(ancestors(roots)):
        kind = PARAMETER if isinstance(node, Leaf) else CALL
        shape, dtype = (node.shape, node.dtype) if node.dtype is not None else ((), None)
        title = names.get(id(node), f"leaf {k + 1}") if kind is PARAMETER else node.name
        items[node] = Item(f"v{k + 1}", kind, title, shape, dtype, None, [items[p] for p in node.parents], node)
        if node in roots:
            items[node].result, items[node].value = True, np.asarray(roots[node].value)
    return list(items.values())


# --- boxes -----------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Vertex(Box):
    """A box: an operation, or a module with all that happens in it."""

    title: str = ""
    kind: str = CALL
    form: str = ""  # of what comes out
    notes: list[str] = field(default_factory=list)
    parameters: int = 0
    kept: int = 0  # bytes
    result: bool = False
    chain: list[Call] = field(default_factory=list)
    name: str = ""

    @property
    def texts(self) -> list[str]:
        """What is written below the title."""
        count = f"{self.parameters:,} parameters" if self.parameters else ""
        return [text for text in (self.form, *self.notes, count, self.kept and f"keeps {size(self.kept)}") if text]

    @property
    def likeness(self) -> tuple:
        """What boxes have in common that differ only in their names."""
        return self.title.rpartition(": ")[2], self.form, tuple(self.notes), self.parameters, tuple(self.chain)


@dataclass
class Graph:
    """Boxes in the order in which they ran, and what is written on the edges between them."""

    vertices: list[Vertex]
    edges: dict[tuple[Vertex, Vertex], str]


def boxes_at(
    items: list[Item], depth: int, parameters: bool, labels: dict, kept: dict[Item, int], whole: bool = False
) -> Graph:
    """The boxes at a depth; `whole`: a module that has none in it is one box at any depth."""
    boxes: dict[Any, Vertex] = {}
    members: dict[Vertex, list[Item]] = {}
    of: dict[Item, Vertex] = {}
    for item in items:
        if parameters or item.kind not in (PARAMETER, CONSTANT):
            call = _folded_call(item.chain, depth, whole)
            if (call or item) not in boxes:
                title, kind = (call.title, MODULE) if call else (item.title, item.kind)
                chain = call.chain()[:-1] if call else item.chain
                boxes[call or item] = Vertex(title=title, kind=kind, chain=chain)
            of[item] = vertex = boxes[call or item]
            members.setdefault(vertex, []).append(item)
            vertex.result = vertex.result or item.result
    edges: dict[tuple[Vertex, Vertex], str] = {}
    for item, vertex in of.items():
        for a in item.operands:
            if a in of and of[a] is not vertex:
                edges[of[a], vertex] = edges.get((of[a], vertex)) or labels.get((a, item), "")
    calls = {vertex: key for key, vertex in boxes.items() if isinstance(key, Call)}
    for vertex, inside in members.items():
        _describe(vertex, inside, calls.get(vertex), parameters, kept)
    _beside_their_use(members, edges)
    return Graph(list(members), edges)


def _folded_call(chain: list[Call], depth: int, whole: bool) -> Call | None:
    """The call of a module that is one box, with what happens in it."""
    if len(chain) > depth:
        return chain[depth]
    simple = whole and chain and next(iter(chain[-1].module.children()), None) is None
    return chain[-1] if simple else None


def _describe(vertex: Vertex, items: list[Item], call: Call | None, parameters: bool, kept: dict[Item, int]) -> None:
    """What is written in a box."""
    inside = set(items)
    last = next((i for i in reversed(items) if i.result or i.used_by - inside), items[-1])
    vertex.name, vertex.form = last.name, last.form
    vertex.kept = sum(kept[item] for item in items)
    if call is not None:
        vertex.parameters = sum(p.numel() for p in call.module.parameters())
    elif not parameters:
        own = [a for a in last.operands if a.kind in (PARAMETER, CONSTANT)]
        vertex.notes = [f"{a.title.rpartition('.')[2]} {_shape(a.shape)}" for a in own]


def _beside_their_use(members: dict[Vertex, list[Item]], edges: dict) -> None:
    """What is not made inside a module but used only there is drawn there."""
    for vertex in members:
        if vertex.kind in (PARAMETER, CONSTANT):
            users = [b.chain for a, b in edges if a is vertex]
            vertex.chain = list(users[0]) if users and all(u == users[0] for u in users) else []


def kept_bytes(items: list[Item]) -> dict[Item, int]:
    """The bytes that each operation keeps for backward; what several keep counts for the first, parameters for none."""
    seen = {id(memory(i.line.tensor.value)) for i in items if i.line is not None and i.kind != CALL}
    kept = {}
    for item in items:
        kept[item] = 0
        node = item.node.parents[0] if isinstance(item.node, Pick) else item.node
        for v in _arrays(getattr(node, "env", None) or ()):
            owner = memory(v)
            if id(owner) not in seen:
                seen.add(id(owner))
                kept[item] += owner.nbytes
    return kept


def _arrays(env: Any) -> Iterator[np.ndarray]:
    for v in env:
        if isinstance(v, (tuple, list)):
            yield from _arrays(v)
        elif isinstance(v, np.ndarray):
            yield v


def size(count: float) -> str:
    """Bytes as they are said."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


# --- derivatives on edges --------------------------------------------------------------------------------------------


def derivatives(items: list[Item]) -> dict[tuple[Item, Item], str]:
    """For each edge between single numbers the local derivative, for others the size of the gradient that flows back."""
    labels = dict(_flows(items))
    with no_grad(), np.errstate(all="ignore"):
        for item in items:
            line = item.line
            if line is not None and line.op is not None and line.op.differentiable and not line.shape:
                labels.update(_local(item, line))
    return labels


def _local(item: Item, line: Line) -> Iterator[tuple[tuple[Item, Item], str]]:
    by_line = {a.line: a for a in item.operands}
    values = [a.value if isinstance(a, Line) else a for a in line.args]
    if line.part is not None or any(v is None for v in values):
        return
    totals: dict[Item, Any] = {}
    for i, a in enumerate(line.args):
        if isinstance(a, Line) and not a.shape and a.dtype.kind in "fc":
            t = pushforward(line.op, values, {i: np.ones((), a.dtype)}, line.value, line.params)
            if t is not None:
                totals[by_line[a]] = totals.get(by_line[a], 0) + np.asarray(t)
    for a, t in totals.items():
        yield (a, item), f"{t.item():.5g}"


def _flows(items: list[Item]) -> Iterator[tuple[tuple[Item, Item], str]]:
    """The size of the gradient of the results, or of their sum, on its way back along each edge."""
    roots = [i for i in items if i.result and i.node is not None and i.dtype.kind in "fc"]
    if not roots:
        return
    by_node = {item.node: item for item in items if item.node is not None}
    by_node |= {n.parents[0]: item for n, item in list(by_node.items()) if isinstance(n, Pick)}
    steps: list[tuple[Node, Any]] = []
    note = lambda node, args, _, cotangents: steps.append((node, cotangents)) if isinstance(node, Node) else None
    leaves = [n for n in ancestors([r.node for r in roots]) if isinstance(n, Leaf)]
    ends = [at(np.zeros(r.shape, r.dtype), r.node) for r in roots]
    with using(observers=(note,)), np.errstate(all="ignore"):
        ones = [np.ones(r.shape, r.dtype) for r in roots]
        pullback(ends, ones, leaves, retain=True, tracked=False, only_wanted=True)
    for node, cotangents in steps:
        for parent, ct in zip(node.parents, cotangents):
            if ct is not None and parent in by_node and node in by_node:
                ct = fitted(ct, parent, node) if ct.shape != parent.shape else ct
                yield (by_node[parent], by_node[node]), f"|g| {np.linalg.norm(ct):.3g}"

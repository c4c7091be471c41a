"""The evaluation trace of a function, as Wengert wrote it: a line for each operation, as they ran.

Branches, loops and recursion leave no mark but their lines.  To each line belong its value, its tangent along each seed
(forward mode goes down the list) and its adjoint (reverse mode goes up).
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..backward import pullback
from ..errors import require_callable
from ..forward import pushforward
from ..functional import chosen_arguments, require_value, stand_in
from ..op import REGISTRY, Op, Traced
from ..tape import current, enable_grad, no_grad, standing_for, user_line, using, version
from ..tensor import Tensor, at
from ..tree import flatten
from .table import Table, shown

INPUT, PARAMETER, CONSTANT, CALL = "input", "parameter", "constant", "call"


@dataclass(eq=False)
class Line:
    """One line: what was done, to what, with what result."""

    name: str
    kind: str
    tensor: Tensor
    value: np.ndarray | None  # as it was then; None if it was large and only its shape was asked for
    op: Op | None = None
    args: tuple = ()  # lines, and what else the operation was given
    params: dict = field(default_factory=dict)
    part: int | None = None  # which of several results
    where: str = ""
    group: Any = None  # the module that was being called
    tangents: list = field(default_factory=list)
    adjoint: np.ndarray | None = None

    __repr__ = lambda self: f"<{self.name}: {self.operation}({self.operands})>"

    def __post_init__(self) -> None:
        self.node, self.shape, self.dtype = self.tensor.node, self.tensor.shape, self.tensor.dtype

    @property
    def operation(self) -> str:
        """The name of what was done."""
        return self.kind if self.op is None else self.op.name + ("" if self.part is None else f"[{self.part}]")

    @property
    def operands(self) -> str:
        """What it was done to, and how."""
        own = lambda k: k not in self.op.defaults or not _same(self.params[k], self.op.defaults[k])
        how = [f"{k}={v!r:.30}" for k, v in self.params.items() if own(k) and k != "path"] if self.op else []
        return ", ".join([*(a.name if isinstance(a, Line) else _constant(a) for a in self.args), *how])


def _same(a: Any, b: Any) -> bool:
    return a is b or type(a) is type(b) and not isinstance(a, np.ndarray) and a == b


def _constant(a: Any) -> str:
    return repr(a)[:20] if not isinstance(a, (np.ndarray, np.generic, int, float, complex)) else shown(a)


class Recorder:
    """Hears of every operation on tensors and writes it down."""

    def __init__(self, keep: int | None = None, names: dict[int, str] | None = None):
        self.keep, self.names = keep, names or {}  # the most entries of a value to keep; what tensors are called
        self.lines: list[Line] = []
        self.by_node: dict[Any, Line] = {}
        self.by_tensor: dict[
            int, tuple[Line, int]
        ] = {}  # by id, those without a node, with the version of their memory
        self.counts = {kind: itertools.count(1) for kind in (PARAMETER, CONSTANT, CALL)}
        self.groups: list = []

    def __call__(self, op: Any, args: tuple, params: dict, result: Any) -> None:
        if not isinstance(op, Op):  # a step of a walk back
            return
        if op.name == "overwrite":
            self.overwritten(*args)
        results = result if isinstance(result, tuple) else (result,)
        if not any(isinstance(r, Tensor) for r in results):
            return
        lines = tuple(self.line(a) if isinstance(a, Tensor) else a for a in args)
        if op.name == "clone" and not any(isinstance(a, Line) for a in lines):  # how what is made anew is told of
            self.add(CONSTANT, result)
            return
        for k, r in enumerate(results):
            self.add(CALL, r, op, lines, params, k if isinstance(result, tuple) else None)

    def add(self, kind: str, tensor: Tensor, op: Any = None, args: tuple = (), params: Any = None, part: Any = None):
        """One more line."""
        prefix = {PARAMETER: "p", CONSTANT: "c", CALL: "v"}
        name = self.names.get(id(tensor)) or f"{prefix[kind]}{next(self.counts[kind])}"
        value = tensor.value
        while isinstance(value, Traced):
            value = value.innermost()
        value = value.copy() if self.keep is None or value.size <= self.keep else None
        line = Line(name, kind, tensor, value, op, args, params or {}, part, user_line())
        line.group = self.groups[-1] if self.groups and op else None
        self.lines.append(line)
        self.enter(tensor, line)
        return line

    def enter(self, tensor: Tensor, line: Line) -> None:
        """From now on a tensor is what a line says."""
        if tensor.node is not None:
            self.by_node[tensor.node] = line
        else:
            self.by_tensor[id(tensor)] = line, version(tensor.value)

    def line(self, t: Tensor) -> Line:
        """The line of a tensor; one that has not been seen, or was changed by other means, gets its own."""
        if t.node is not None:
            line = self.by_node.get(t.node)
        else:
            line, seen = self.by_tensor.get(id(t), (None, 0))
            line = line if seen == version(t.value) else None
        return line or self.add(PARAMETER if t.requires_grad else CONSTANT, t)

    def overwritten(self, t: Tensor, new: Any) -> None:
        """A tensor has taken on another value; if it is a view, its base has one with this in it."""
        source = self.line(new) if isinstance(new, Tensor) else self.add(CONSTANT, at(np.array(new)))
        if t.origin is not None:
            base = t.origin.base
            self.add(CALL, base, REGISTRY["put_view"], (self.before(base, source), source), {"path": t.origin.path})
        self.enter(t, source)

    def before(self, base: Tensor, source: Line) -> Line:
        """The line of a tensor into which a part has just been written."""
        older = [p for p in (base.node.parents if base.node is not None else ()) if p is not source.node]
        line = self.by_node.get(older[0]) if older else self.by_tensor.get(id(base), (None, 0))[0]
        return line or self.add(CONSTANT, at(base.value))


@dataclass(eq=False)
class Trace:
    """The list: `lines` in the order in which they ran, `seeds` by which their tangents go, what came out."""

    lines: list[Line]
    results: list[Line]
    seeds: list[str]

    def __getitem__(self, name: str) -> Line:
        for line in self.lines:
            if line.name == name:
                return line
        raise KeyError(f"wengert: no line is called {name!r}; there are {', '.join(n.name for n in self.lines)}")

    def __iter__(self) -> Iterator[Line]:
        return iter(self.lines)

    def __len__(self) -> int:
        return len(self.lines)

    def table(self, where: bool = False) -> Table:
        """The trace as a table; `where` adds the line of the program that each operation is from."""
        heads = ["line", "operation", "operands", "value", *self.seeds, "adjoint", *(["where"] if where else [])]
        rows = [
            [n.name, n.operation, n.operands, n.value, *n.tangents, n.adjoint, *([n.where] if where else [])]
            for n in self.lines
        ]
        return Table(heads, rows)

    def to_csv(self) -> str:
        """The table as comma-separated values, numbers with all their digits."""
        return self.table(where=True).to_csv()

    def to_markdown(self) -> str:
        """The table as Markdown has it."""
        return self.table().to_markdown()

    def __str__(self) -> str:
        return str(self.table())

    __repr__ = __str__


def wengert(
    f: Callable, *args: Any, argnums: int | Sequence[int] | None = None, seeds: Sequence | None = None
) -> Trace:
    """The evaluation trace of f(*args): every operation as it ran, with value, tangents and adjoint.

    There is one seed for each of the arguments in `argnums` (all, unless told), of ones: for a number, the derivative by
    it; for an array, by all its entries moved alike.  `seeds` gives others, each in the form of these arguments.
    Adjoints are of the result, or if that has several entries, of their sum.
    """
    require_callable(f, "wengert")
    chosen = range(len(args)) if argnums is None else argnums
    numbers, put = chosen_arguments(args, chosen if isinstance(chosen, int) else tuple(chosen), "wengert")
    leaves, rebuild = flatten(tuple(args[n] for n in numbers))
    xs = [stand_in(x, "wengert", f"leaf {k} of the arguments") for k, x in enumerate(leaves)]
    names = _names(f, [args[n] for n in numbers], numbers)
    recorder = Recorder(names={id(x): name for x, name in zip(xs, names)})
    inputs = [recorder.add(INPUT, x) for x in xs]
    with enable_grad(), standing_for(leaves), using(observers=(*current().observers, recorder)):
        results = flatten(f(*put(rebuild(xs))))[0]
    for y in results:
        require_value(y, "wengert: the function returned")
    ends = [recorder.line(y) for y in results if isinstance(y, Tensor)]
    heads, directions = _directions(seeds, xs, names)
    with no_grad(), np.errstate(all="ignore"):
        _push(recorder.lines, inputs, directions)
        _pull(recorder.lines, ends)
    return Trace(recorder.lines, ends, heads)


def _names(f: Callable, args: Sequence, numbers: Sequence[int]) -> list[str]:
    """What the leaves of the arguments are called: as the parameters are, with a number where an argument has several."""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    own = [p.name for p in parameters if p.kind in kinds]
    names = []
    for n, arg in zip(numbers, args):
        name, count = own[n] if n < len(own) else f"x{n + 1}", len(flatten(arg)[0])
        names += [name] if not isinstance(arg, (tuple, list, dict)) else [f"{name}.{k}" for k in range(count)]
    return names


def _directions(seeds: Sequence | None, xs: list, names: list[str]) -> tuple[list[str], list[list]]:
    """Headings, and for each seed a tangent of each input."""
    if seeds is not None:
        found = [[np.broadcast_to(np.asarray(t, float), x.shape) for t, x in zip(flatten(s)[0], xs)] for s in seeds]
        if wrong := [k for k, s in enumerate(found) if len(s) != len(xs)]:
            raise ValueError(f"wengert: seed {wrong[0]} has not one tangent for each of the {len(xs)} inputs")
        return [f"along {k + 1}" for k in range(len(seeds))], found
    heads = [f"d/d{name}" if x.ndim == 0 else f"along {name}" for name, x in zip(names, xs)]
    return heads, [
        [np.full(x.shape, 1.0 * (x is mine), x.dtype if x.dtype.kind == "f" else float) for x in xs] for mine in xs
    ]


def _push(lines: list[Line], inputs: list[Line], directions: list[list]) -> None:
    """Forward mode: the tangents of each line from those of the lines it was made from."""
    for direction in directions:
        tangents: dict[Line, Any] = dict(zip(inputs, direction))
        for line in lines:
            if line.op is not None and line.dtype.kind in "fc":
                tangents[line] = _tangent(line, tangents)
            line.tangents.append(tangents.get(line, np.zeros(line.shape) if line.kind == PARAMETER else None))


def _tangent(line: Line, tangents: dict[Line, Any]) -> np.ndarray | None:
    values = [a.value if isinstance(a, Line) else a for a in line.args]
    moved = {i: tangents[a] for i, a in enumerate(line.args) if isinstance(a, Line) and tangents.get(a) is not None}
    if not line.op.differentiable or not any(isinstance(a, Line) for a in line.args):
        return None
    y = line.op.call(*values, **line.params) if line.part is not None else line.value
    t = pushforward(line.op, values, moved, y, line.params) if moved else None
    t = t[line.part] if line.part is not None and t is not None else t
    zero = np.zeros(line.shape, line.dtype)
    return zero if t is None else zero + np.asarray(t)


def _pull(lines: list[Line], ends: list[Line]) -> None:
    """Reverse mode: the adjoints of all lines from ones of the results."""
    roots = [end for end in ends if end.node is not None and end.dtype.kind in "fc"]
    nodes = [line.node for line in lines if line.node is not None]
    found: dict = {}
    if roots:
        ones = [np.ones(end.shape, end.dtype) for end in roots]
        found = pullback([r.tensor for r in roots], ones, nodes, retain=True, tracked=False, only_wanted=True)
    for line in lines:
        if line.node is not None:
            g, _ = found.get(line.node, (np.zeros(line.shape, line.dtype), True))
            line.adjoint = np.asarray(g).copy()

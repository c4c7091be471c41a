"""What a model is made of and what a call of it costs: a table of modules, shapes, parameters, work and memory.

The model is called once on the inputs and watched: every primitive operation tells what it was given, so functions called
inside `forward` count as layers do, and the tape tells what it keeps for backward.  Afterwards the model is as it was.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograd_core import Tensor, enable_grad, get_default_dtype, saved_tensors_hooks
from autograd_core.dtypes import as_dtype
from autograd_core.models import as_it_was
from autograd_core.op import Op
from autograd_core.ops.contractions import labels_of, order_of
from autograd_core.tape import current, memory, using
from autograd_core.tensor import at
from autograd_core.tree import flatten

from .module import Module
from .parameter import is_uninitialized

__all__ = ["Summary", "summary"]

# --- multiply-adds of primitive operations ---------------------------------------------------------------------------


def _einsum(*xs: Any, spec: str) -> int:
    """Operands are contracted two at a time; each time all labels of both make a nest of loops."""
    operands, result = labels_of(spec)
    sizes = {label: n for x, labels in zip(xs, operands) for label, n in zip(labels, x.shape)}
    terms, total = list(operands), 0
    for chosen in order_of(spec, tuple(x.shape for x in xs)):
        taken = [terms[k] for k in chosen]
        terms = [t for k, t in enumerate(terms) if k not in chosen]
        while len(taken) > 1:
            union = set(taken[0]) | set(taken[1])
            total += math.prod(sizes[label] for label in union)
            needed = set(result).union(*terms, *taken[2:])
            taken[:2] = ["".join(sorted(union & needed))]
        terms += taken
    return total


def _sequence(x: Any, v: Any, bias: Any, bias_h: Any, h0: Any, c0: Any, w: Any, **how: Any) -> int:
    return x.shape[0] * math.prod(v.shape) + x.shape[0] * math.prod(w.shape)


def _attention(q: Any, k: Any, v: Any, mask: Any, place: Any, **how: Any) -> int:
    return math.prod(q.shape[:-1]) * k.shape[-2] * (q.shape[-1] + v.shape[-1])


# By the name of the operation: of its arguments.  Convolutions have a product of a window for each entry, of the result
# or, if transposed, of the input.  What is not here multiplies entry by entry, if at all.
MULTIPLY_ADDS: dict[str, Callable[..., int]] = {
    "linear": lambda x, w, b: math.prod(x.shape) * w.shape[0],
    "linear_product": lambda x, w: math.prod(x.shape) * w.shape[0],
    "matmul": lambda a, b: (
        math.prod(np.broadcast_shapes(a.shape[:-2], b.shape[:-2])) * math.prod(a.shape[-2:]) * b.shape[-1]
    ),
    "einsum": _einsum,
    "convolve_input": lambda g, w, **how: math.prod(g.shape) * math.prod(w.shape[1:]),
    "convolve_weight": lambda g, x, **how: math.prod(g.shape) * math.prod(how["shape"]) * x.shape[1] // how["groups"],
    "attend": _attention,
    "run_sequence": _sequence,
}


def multiply_adds(op: Any, args: tuple, params: dict, result: Any) -> int:
    """The multiplications of a call of a primitive operation that are part of sums of products."""
    if not isinstance(op, Op):  # a step of a walk back
        return 0
    if op.name == "convolve":
        return math.prod(result.shape) * math.prod(args[1].shape[1:])
    count = MULTIPLY_ADDS.get(op.name)
    return count(*args, **params) if count is not None else 0


# --- the table -------------------------------------------------------------------------------------------------------


@dataclass
class Row:
    """One module: what is its own, and what belongs to those inside it that have no row."""

    path: str
    kind: str
    output: str = ""
    trainable: int = 0
    frozen: int = 0
    multiply_adds: int = 0
    kept_bytes: int = 0
    calls: int = 0


class Kept:
    """What the tape holds in the place of an array that it keeps."""

    def __init__(self, tensor: Tensor, row: Row, place: int):
        self.tensor, self.row, self.place = tensor, row, place


@dataclass
class Summary:
    """The table, to be printed or read; the columns of `rows` add up to the totals."""

    rows: list[Row]
    parameter_bytes: int
    buffer_bytes: int
    input_bytes: int

    @property
    def trainable_parameters(self) -> int:
        """Entries of parameters that ask for gradients, those of shared ones once."""
        return sum(r.trainable for r in self.rows)

    @property
    def total_parameters(self) -> int:
        """Entries of all parameters, those of shared ones once."""
        return self.trainable_parameters + sum(r.frozen for r in self.rows)

    @property
    def multiply_adds(self) -> int:
        """Multiplications in sums of products in one call."""
        return sum(r.multiply_adds for r in self.rows)

    @property
    def kept_bytes(self) -> int:
        """Bytes that one call keeps until backward, without parameters and buffers."""
        return sum(r.kept_bytes for r in self.rows)

    def __getitem__(self, path: str) -> Row:
        for row in self.rows:
            if row.path == path:
                return row
        raise KeyError(
            f"summary: no row for {path!r}; there are {', '.join(r.path or '(the model)' for r in self.rows)}"
        )

    def __str__(self) -> str:
        head = ("module", "output", "parameters", "multiply-adds", "kept for backward")
        lines = [_cells(r) for r in self.rows]
        widths = [max(len(line[k]) for line in [head, *lines]) for k in range(5)]
        rule = "-" * (sum(widths) + 2 * 4)
        shown = lambda line: "  ".join(
            c.ljust(w) if k < 2 else c.rjust(w) for k, (c, w) in enumerate(zip(line, widths))
        ).rstrip()
        trained, total = self.trainable_parameters, self.total_parameters
        ends = [
            f"parameters: {total:,}, of which {trained:,} are trained ({_size(self.parameter_bytes)})",
            f"multiply-adds: {self.multiply_adds:,}",
            f"memory: input {_size(self.input_bytes)}, kept for backward {_size(self.kept_bytes)}",
        ]
        ends += [f"buffers: {_size(self.buffer_bytes)}"] if self.buffer_bytes else []
        return "\n".join([shown(head), rule, *map(shown, lines), rule, *ends])

    __repr__ = __str__


def _cells(row: Row) -> tuple[str, ...]:
    depth = row.path.count(".") + 1 if row.path else 0
    name = "  " * depth + (f"{row.path.rpartition('.')[2]} {row.kind}" if row.path else row.kind)
    parameters = f"{row.trainable + row.frozen:,}" + (" (frozen)" if row.frozen and not row.trainable else "")
    blank = lambda n, text: text if n else ""
    return (
        name,
        row.output + (f" x{row.calls}" if row.calls > 1 else ""),
        blank(row.trainable + row.frozen, parameters),
        blank(row.multiply_adds, f"{row.multiply_adds:,}"),
        blank(row.kept_bytes, _size(row.kept_bytes)),
    )


def _size(count: float) -> str:
    """Bytes as they are said."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def _shapes(y: Any) -> str:
    """The shapes of what a module returned."""
    shapes = [str(tuple(t.shape)) for t in flatten(y)[0] if hasattr(t, "shape")]
    return ", ".join(shapes) if len(shapes) < 5 else f"{', '.join(shapes[:3])}, ... ({len(shapes)})"


# --- the call --------------------------------------------------------------------------------------------------------


def summary(model: Module, inputs: Any, dtype: Any = None, depth: int | None = None) -> Summary:
    """Call a model once, in the mode it is in, and tell what every module in it does.

    `inputs` is the shape of the input with the batch, `(8, 3, 32, 32)`; a list of shapes, for several; or inputs
    themselves: a tensor, a tuple or list of them, a dict of those with names.  Inputs made from shapes are normal numbers
    of the type `dtype` (one for all, or one for each; that of the parameters if left out), or zeros if that has none.
    Modules further down than `depth` have no row: their figures are in those above them.
    """
    if not isinstance(model, Module):
        raise TypeError(f"summary: expected a Module, got {type(model).__name__}")
    if lazy := [n for n, t in _named_tensors(model) if is_uninitialized(t)]:
        raise ValueError(f"summary: {', '.join(lazy)} have no shape yet; call the model on one batch first")
    args, kwargs = _arguments(inputs, _type_of(model) if dtype is None else dtype)
    rows = _rows(model, depth)
    with as_it_was(model), ExitStack() as stack:
        watch = Watch(rows)
        stack.enter_context(using(observers=(*current().observers, watch.called)))
        stack.enter_context(saved_tensors_hooks(watch.keep, lambda kept: kept.tensor))
        stack.enter_context(enable_grad())
        watch.attach(stack)
        try:
            y = model(*args, **kwargs)
        except Exception as error:
            _explain(error, inputs, dtype)
            raise
        _count_kept(watch, model)
        del y
    return _finished(model, rows, [*args, *kwargs.values()])


def _explain(error: Exception, inputs: Any, dtype: Any) -> None:
    """Say of an error on an input made of its shape what may be wrong with the shape or with the type."""
    if not error.args or not isinstance(error.args[0], str):
        return
    if isinstance(error, TypeError) and dtype is None:
        fix = "give dtype=, as ag.int64 for indices, or inputs themselves"
        error.args = (f"{error.args[0]} (an input made of its shape has the type of the parameters: {fix})",)
    elif _is_shape(inputs):
        shape, batch = tuple(inputs), (1, *inputs)
        error.args = (f"{error.args[0]} (the input was made as {shape}; a shape counts the batch: is {batch} meant?)",)


def _rows(model: Module, depth: int | None) -> dict[Module, Row]:
    """The row of every module: its own, or that of the nearest one above it that has one."""
    found: dict[Module, Row] = {}
    for path, module in model.named_modules():
        steps = path.split(".") if path else []
        if depth is None or len(steps) <= depth:
            found[module] = Row(path, type(module).__name__)
        else:
            found[module] = found[model.get_submodule(".".join(steps[:depth]))]
    return found


def _finished(model: Module, rows: dict[Module, Row], inputs: list) -> Summary:
    """With the parameters, each where it is first found."""
    seen: set[int] = set()
    for module, row in rows.items():
        for p in module.parameters(recurse=False):
            if id(p) not in seen:
                seen.add(id(p))
                row.trainable += p.numel() * p.requires_grad
                row.frozen += p.numel() * (not p.requires_grad)
    bytes_of = lambda values: sum(t.value.nbytes for t in values if isinstance(t, Tensor))
    held = bytes_of(model.parameters()), bytes_of(model.buffers()), bytes_of(flatten(inputs)[0])
    return Summary(list({id(r): r for r in rows.values()}.values()), *held)


class Watch:
    """One call, as it is watched."""

    def __init__(self, rows: dict[Module, Row]):
        self.rows = rows
        self.inside = [next(iter(rows.values()))]  # the rows of the modules that are being called
        self.tokens: weakref.WeakSet[Kept] = weakref.WeakSet()
        self.place = 0

    def called(self, op: Any, args: tuple, params: dict, result: Any) -> None:
        """An operation has been called."""
        self.inside[-1].multiply_adds += multiply_adds(op, args, params, result)

    def keep(self, tensor: Tensor) -> Kept:
        """The tape keeps an array."""
        self.place += 1
        kept = Kept(tensor, self.inside[-1], self.place)
        self.tokens.add(kept)
        return kept

    def attach(self, stack: ExitStack) -> None:
        """Be told when modules are entered and left."""
        for module, row in self.rows.items():
            first = module.register_forward_pre_hook(self._entering(row), prepend=True)
            last = module.register_forward_hook(self._leaving(row), always_call=True)
            stack.callback(first.remove)
            stack.callback(last.remove)

    def _entering(self, row: Row) -> Callable:
        def entering(module: Module, args: tuple) -> None:
            self.inside.append(row)

        return entering

    def _leaving(self, row: Row) -> Callable:
        owner = next(m for m, r in self.rows.items() if r is row)

        def leaving(module: Module, args: tuple, y: Any) -> None:
            self.inside.pop()
            if module is owner:
                row.calls += 1
                row.output = _shapes(y)

        return leaving


def _count_kept(watch: Watch, model: Module) -> None:
    """Enter the memory of what is kept, once for each array, where it is first kept."""
    seen = {id(memory(t.value)) for t in model._tensors()}
    for kept in sorted(watch.tokens, key=lambda kept: kept.place):
        array = memory(kept.tensor.value)
        if isinstance(array, np.ndarray) and id(array) not in seen:
            seen.add(id(array))
            kept.row.kept_bytes += array.nbytes


def _named_tensors(model: Module) -> Iterator[tuple[str, Tensor]]:
    yield from model.named_parameters()
    yield from model.named_buffers()


def _type_of(model: Module) -> Any:
    """The type of the first parameter that has floating-point numbers."""
    return next((p.dtype for p in model.parameters() if p.dtype.kind == "f"), get_default_dtype())


def _arguments(inputs: Any, dtype: Any) -> tuple[tuple, dict]:
    """What the model is called on."""
    if isinstance(inputs, Mapping):
        kinds = dtype if isinstance(dtype, Mapping) else dict.fromkeys(inputs, dtype)
        return (), {name: _one(v, kinds.get(name)) for name, v in inputs.items()}
    if isinstance(inputs, (tuple, list)) and not _is_shape(inputs):
        each = dtype if isinstance(dtype, (tuple, list)) else [dtype] * len(inputs)
        if len(each) != len(inputs):
            raise ValueError(f"summary: {len(each)} types for {len(inputs)} inputs")
        return tuple(_one(v, kind) for v, kind in zip(inputs, each)), {}
    if isinstance(inputs, (int, float, np.number)):
        raise TypeError(
            f"summary: expected a shape or inputs, got {inputs!r}; a shape counts the batch, as (1, {inputs})"
        )
    return (_one(inputs, dtype),), {}


def _is_shape(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and all(isinstance(n, (int, np.integer)) for n in value)


def _one(value: Any, dtype: Any) -> Any:
    """An input, or one of a shape."""
    if not _is_shape(value):
        return at(value) if isinstance(value, np.ndarray) else value
    kind = np.dtype(get_default_dtype() if dtype is None else as_dtype(dtype))
    if any(n < 0 for n in value):
        raise ValueError(f"summary: a shape has no negative sizes, got {tuple(value)}")
    if kind.kind != "f":
        return at(np.zeros(value, kind))
    return at(np.random.default_rng(0).standard_normal(value).astype(kind))

"""Control flow and recomputation: cond, scan, checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np

from .errors import require_callable
from .functional import as_tensor
from .op import Traced
from .ops import PUBLIC
from .random import default_generator
from .tape import current, enable_grad, state, using
from .tensor import Tensor, at
from .tree import flatten, tree_map
from .vmap import Batched


def cond(pred: Any, true_f: Callable, false_f: Callable, *operands: Any) -> Any:
    """true_f(*operands) if pred, else false_f(*operands); only one runs (under vmap and compile both, to select)."""
    for f in (true_f, false_f):
        require_callable(f, "cond")
    if _batched(pred):
        yes, no = true_f(*operands), false_f(*operands)
        if len(flatten(yes)[0]) != len(flatten(no)[0]):
            counts = f"{len(flatten(yes)[0])} and {len(flatten(no)[0])}"
            raise ValueError(f"cond: under vmap both functions must return trees of one form, got {counts} leaves")
        return tree_map(lambda a, b: PUBLIC["where"](pred, a, b), yes, no)
    if not isinstance(pred, (Traced, np.ndarray, np.generic, bool, int, float)):
        raise TypeError(f"cond: pred must be a truth value, got {type(pred).__name__} {pred!r:.40}")
    if np.shape(pred) not in ((), (1,)):
        raise ValueError(
            f"cond: pred must be one truth value, got shape {np.shape(pred)}; for a choice per entry use where"
        )
    if isinstance(pred, Traced) and current().capture is not None:
        return _both(PUBLIC["reshape"](pred, ()) != 0, true_f, false_f, operands)
    return (true_f if bool(pred) else false_f)(*operands)


def _both(pred: Any, true_f: Callable, false_f: Callable, operands: tuple) -> Any:
    """What is chosen of both results in each replay.

    No gradient gets from the function that is not chosen to the operands: what it computes there may be no number.
    """
    capture, where = current().capture, PUBLIC["where"]
    found = []
    for f, chosen in ((true_f, pred), (false_f, ~pred)):
        let_through = lambda x, chosen=chosen: where(chosen, x, x.detach()) if isinstance(x, Traced) else x
        found.append(capture.conditional(f, tree_map(let_through, operands)))
    forms = [[(np.shape(y), getattr(y, "dtype", type(y))) for y in flatten(ys)[0]] for ys in found]
    if forms[0] != forms[1]:
        raise ValueError(
            f"cond: when compiled both functions must return trees of one form, got {forms[0]} and {forms[1]}"
        )
    return tree_map(lambda a, b: where(pred, a, b), *found)


def _batched(v: Any) -> bool:
    """Whether a value differs over a batch, however deep inside other transforms."""
    while isinstance(v, Traced) and not isinstance(v, Batched):
        v = v.innermost()
    return isinstance(v, Batched)


def scan(f: Callable, init: Any, xs: Any = None, length: int | None = None) -> tuple:
    """Run carry, y = f(carry, x) over the first axis of xs; the last carry and the ys stacked."""
    require_callable(f, "scan")
    leaves, rebuild = flatten(xs)
    for x in leaves:
        if np.ndim(x) == 0:
            raise ValueError(f"scan: xs must have an axis to run over, got {type(x).__name__} {x!r:.40}")
    if length is not None and (not isinstance(length, int) or length < 0):
        raise ValueError(f"scan: length must be a whole number, got {length!r}")
    lengths = {np.shape(x)[0] for x in leaves} | ({length} if length is not None else set())
    if len(lengths) != 1:
        found = f"different ones: {', '.join(map(str, sorted(lengths)))}" if lengths else "none: give xs or length"
        raise ValueError(f"scan: needs one length, got {found}")
    columns = [PUBLIC["unbind"](as_tensor(x), 0) for x in leaves]
    carry, rows = init, []
    for k in range(lengths.pop()):
        result = f(carry, rebuild([column[k] for column in columns]) if leaves else None)
        if not (isinstance(result, tuple) and len(result) == 2):
            raise TypeError(f"scan: f must return (carry, y), got {type(result).__name__}")
        carry, y = result
        rows.append(y)
        shapes = [list(map(np.shape, flatten(row)[0])) for row in (rows[0], y)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"scan: f must return results of one shape, got {shapes[0]} at first and {shapes[1]} in step {k}"
            )
    if not rows:
        raise ValueError("scan: cannot tell what the results look like when there is nothing to run over")
    stacked = tree_map(lambda *column: PUBLIC["stack"]([as_tensor(_array(y)) for y in column], 0), *rows)
    return carry, stacked


def _array(y: Any) -> Any:
    return y if isinstance(y, Traced) else np.asarray(y)


class Recomputed:
    """What a checkpoint keeps: how to run again, and, once it has, the arrays of that run."""

    def __init__(self, f: Callable, args: tuple, options: dict, preserve_rng_state: bool):
        self.f, self.args, self.options = f, args, options
        self.forms: list[tuple] = []  # the shape and type of every array that is to be kept
        self.random = default_generator.mark() if preserve_rng_state else None
        self.live: list[np.ndarray] | None = []  # the arrays themselves, while the function runs: it may differentiate
        self.kept: list[np.ndarray] | None = None

    def run(self) -> Any:
        """The first run: arrays are numbered instead of kept."""
        try:
            with using(pack=(self._number, self._fetch)):
                return self.f(*self.args, **self.options)
        finally:
            self.live = None
            if self.random is not None and not default_generator.moved_on(self.random):
                self.random = None  # nothing was drawn, so nothing need be drawn again

    def _number(self, t: Tensor) -> int:
        self.forms.append((t.shape, t.dtype))
        self.live.append(t.value)
        return len(self.forms) - 1

    def _fetch(self, k: int) -> Tensor:
        if self.live is not None:
            return at(self.live[k])
        if self.kept is None:
            self._again()
        return at(self.kept[k])  # type: ignore[index]

    def _again(self) -> None:
        kept: list[np.ndarray] = []
        before = state.again

        def keep(t: Tensor) -> Tensor:
            kept.append(t.value)
            return t

        drawing = nullcontext() if self.random is None else default_generator.drawing_again(self.random)
        try:
            state.again = True
            with drawing, enable_grad(), using(pack=(keep, lambda t: t)):
                self.f(*self.args, **self.options)
        finally:
            state.again = before
        if [(v.shape, v.dtype) for v in kept] != self.forms:
            several = f"{len(self.forms)} arrays at first and {len(kept)}"
            other = several if len(kept) != len(self.forms) else "arrays of one shape or type at first and of another"
            raise RuntimeError(f"checkpoint: the function kept {other} when run again; it must do the same each time")
        self.kept = kept


def checkpoint(
    f: Callable, *args: Any, preserve_rng_state: bool = True, use_reentrant: bool = False, **options: Any
) -> Any:
    """f(*args), keeping nothing for backward: f runs once more when its gradient is wanted."""
    require_callable(f, "checkpoint")
    return Recomputed(f, args, options, preserve_rng_state).run()

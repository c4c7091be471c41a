"""Forward mode: a value and the tangent that travels with it."""

from __future__ import annotations

from contextlib import contextmanager
from functools import reduce
from typing import Any

import numpy as np

from .backward import pullback
from .op import REGISTRY, Op, Traced
from .tape import Leaf, enable_grad, memory, state
from .tensor import Boxed, Tensor, at
from .views import write
from .vmap import Batched


class Dual(Traced):
    """A dual number x + t ε with ε² = 0: a value and its tangent, for every operation of the library.

    f(Dual(x, t)) is f(x) + f'(x) t ε.  Numbers beside it have no tangent; a Dual of Duals has second derivatives.  Those of
    `jvp` are at its level; one of yours stands just above what it is made of, and below what transforms make later.
    """

    __slots__ = ("primal", "tangent", "level")

    def __init__(self, x: Any, t: Any = 0.0, level: float | None = None):
        self.primal, self.tangent, self.level = (x, t, level) if level is not None else _number(x, t)

    shape = property(lambda self: self.primal.shape)
    dtype = property(lambda self: self.primal.dtype)
    ndim = property(lambda self: self.primal.ndim)
    requires_grad = False
    is_number = property(lambda self: not self.shape and self.level % 2 != 0)  # even levels are those of transforms

    def apply(self, op: Op, args: tuple, params: dict) -> Any:
        """The op on the values, and its derivative on the tangents."""
        if any(isinstance(a, Traced) and a.level > self.level for a in args):
            return max((a for a in args if isinstance(a, Traced)), key=lambda a: a.level).apply(op, args, params)
        mine = lambda a: isinstance(a, Dual) and a.level == self.level
        xs = [a.primal if mine(a) else a for a in args]
        ts = {i: a.tangent for i, a in enumerate(args) if mine(a)}
        y = op.call(*xs, **params)
        if not op.differentiable:
            return tuple(map(_constant, y)) if isinstance(y, tuple) else y if y is None else _constant(y)
        ys = y if isinstance(y, tuple) else (y,)
        tangents = pushforward(op, xs, ts, y, params)
        pairs = zip(ys, tangents if isinstance(y, tuple) else (tangents,))
        duals = [
            _constant(v) if v.dtype.kind not in "fc" else Dual(_entry(v), self._own(t, v, ts, op), self.level)
            for v, t in pairs
        ]
        return tuple(duals) if isinstance(y, tuple) else duals[0]

    def _own(self, t: Any, y: Any, ts: dict, op: Op) -> Any:
        """A tangent in the shape and type of its value, sharing memory only where the values do."""
        if t is None:
            t = blank(next(iter(ts.values())), y.shape, y.dtype)
        if t.shape != y.shape:
            t = REGISTRY["broadcast_to"].call(t, shape=y.shape)
        if t.dtype != y.dtype:
            t = t.astype(y.dtype)
        if not op.view and (
            any(memory(t) is memory(u) for u in ts.values())
            or not getattr(getattr(t, "flags", None), "writeable", True)
        ):
            t = REGISTRY["clone"].call(t)
        return _entry(t)

    def write(self, new: Any, who: str = "write") -> None:
        """Take on another value and tangent in place."""
        mine = isinstance(new, Dual) and new.level == self.level
        write(self.primal, new.primal if mine else new, who)
        write(self.tangent, new.tangent if mine else np.zeros(self.shape, self.dtype), who)

    def detach(self) -> Any:
        """The value without its tangent."""
        return self.primal.detach()

    def innermost(self) -> Any:
        """The value one level below."""
        return self.primal

    def memory(self) -> Any:
        """The array that owns its value's memory."""
        return memory(self.primal)

    def __repr__(self):
        plain = lambda v: v.item() if type(v) is Tensor and v.ndim == 0 and not v.requires_grad else v
        return f"Dual({plain(self.primal)!r}, {plain(self.tangent)!r})"


def _number(x: Any, t: Any) -> tuple:
    """The parts of a dual number of the user's, and its level."""
    x, t = (v if isinstance(v, Traced) else at(np.array(v)) for v in (x, t))
    if not {x.dtype.kind, t.dtype.kind} <= set("biufc") or x.dtype.kind != "c" == t.dtype.kind:
        raise TypeError(f"Dual: expected numbers, both real or the value complex, got {x.dtype} and {t.dtype}")
    if t.ndim and t.shape != x.shape:
        raise ValueError(
            f"Dual: the tangent has shape {t.shape}, needed is that of the value, {x.shape}, or one number"
        )
    x = x if x.dtype.kind in "fc" else x.astype(np.float64)
    level = (max(2 * state.depth, x.level, t.level) + 2 * state.depth + 1) / 2
    return x, (t + np.zeros(x.shape)).astype(x.dtype), level


def blank(like: Any, shape: tuple, dtype: np.dtype) -> Any:
    """Zeros of a shape, wrapped as another tangent is, so that what that can be can be written into them."""
    if isinstance(like, Tensor):
        return at(blank(like.value, shape, dtype), None, like.level)
    if isinstance(like, Dual):
        return Dual(blank(like.primal, shape, dtype), blank(like.tangent, shape, dtype), like.level)
    if isinstance(like, Batched):
        return Batched(blank(like.batch, (like.batch.shape[0], *shape), dtype), like.level)
    return np.zeros(shape, dtype)


def pushforward(op: Op, xs: list, ts: dict, y: Any, params: dict) -> Any:
    """The tangent of y = op(*xs), given tangents of some inputs; for several results, a tuple."""
    if op.jvp is not None:
        return op.jvp([ts.get(i) for i in range(len(xs))], y, *xs, **params)
    if op.linear and (not op.variadic or len(xs) == 1):
        return _linear(op, xs, ts, params)
    if op.elementwise and not op.together and all(hasattr(r, "constant") for r in op.rules if r):
        return _diagonal(op, xs, ts, y, params)
    return _twice_transposed(op, xs, ts, y, params)


def _linear(op: Op, xs: list, ts: dict, params: dict) -> Any:
    """An op that is linear in each argument: itself, with one argument at a time replaced by its tangent."""
    terms = [op.call(*[t if j == i else x for j, x in enumerate(xs)], **params) for i, t in ts.items()]
    return terms[0] if len(terms) == 1 else _total(terms)


def _diagonal(op: Op, xs: list, ts: dict, y: Any, params: dict) -> Any:
    """An elementwise op: the tangents times the partial derivatives."""
    shapes = [x.shape if hasattr(x, "shape") else np.shape(x) for x in xs]
    env = [y, *xs, *shapes, *{**op.defaults, **params}.values()]
    terms = []
    for i, t in ts.items():
        if (rule := op.rules[i]) is not None:
            partial = rule.constant if rule.constant is not None else rule.fn(*_arguments(rule, op, env))
            terms.append(t * partial if rule.constant is not None else _times(t, partial))
    return _total(terms)


def _times(t: Any, partial: Any) -> Any:
    """A tangent times a slope, zero where either is: forward mode cannot know what will be selected."""
    number = not isinstance(partial, (Traced, np.ndarray))
    return t * partial if number and partial else REGISTRY["masked"].call(t, np.asarray(partial) if number else partial)


def _arguments(rule: Any, op: Op, env: list) -> list:
    return [env[int(a[4:-1])] for a in rule.arguments]


def _total(terms: list) -> Any:
    return reduce(lambda a, b: a + b, terms) if terms else None


def _twice_transposed(op: Op, xs: list, ts: dict, y: Any, params: dict) -> Any:
    """The pullback is linear in its cotangent g; pulling the tangents back through *it* gives the tangent of y."""
    several = isinstance(y, tuple)
    ys = [v for v in (y if several else (y,))]
    level = 2 * state.depth + 2
    leaf = lambda v: Leaf(v.shape, v.dtype) if v.dtype.kind in "fc" else None
    gs = [at(np.zeros(v.shape, v.dtype), leaf(v), level) for v in ys]
    for g in gs:
        if g.node is not None:
            g.leaf = g.node
    key = sum((1 << i for i in ts), 1 << len(xs))
    plan = op.plan(key, not several and ys[0].dtype.kind == "c")
    env = plan.save(y, *xs, **params)
    with enable_grad(), np.errstate(all="ignore"):
        cotangents = plan.careful(tuple(gs) if several else gs[0], env)
        pairs = [
            (ct, ts[i])
            for i, ct in zip(plan.wrt, cotangents)
            if isinstance(ct, Boxed) and ct.level == level and ct.node is not None
        ]
        if not pairs:
            return tuple(None for _ in ys) if several else None
        outputs = [ct for ct, _ in pairs]
        seeds = [_like(t, ct) for ct, t in pairs]
        found = pullback(outputs, seeds, [g.node for g in gs if g.node], retain=False, tracked=False, only_wanted=True)
    tangents = tuple(found[g.node][0] if g.node in found else None for g in gs)
    return tangents if several else tangents[0]


def _like(t: Any, ct: Any) -> Any:
    """A tangent in the shape the pullback gave (which the engine would have fitted)."""
    return t if t.shape == ct.shape else REGISTRY["fit_shape"].call(t, shape=ct.shape)


def _constant(v: Any) -> Any:
    return v if isinstance(v, Traced) else at(_entry(v))


def _entry(v: Any) -> Any:
    return v if isinstance(v, (np.ndarray, Traced)) else np.asarray(v)


@contextmanager
def new_level(*mapping):
    """A level of its own for a forward-mode or batching transform; vmap says its size and randomness."""
    state.depth += 1
    level, outer = 2 * state.depth - 1, state.mapped
    state.mapped = (*outer, (level, *mapping)) if mapping else outer
    try:
        yield level
    finally:
        state.depth, state.mapped = state.depth - 1, outer

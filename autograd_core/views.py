"""Views and changes in place: two tensors over one memory stay one value, in gradients too.

A change in place is a call like any other followed by a write: the tensor takes on the result, in memory and in
history.  If it is a view, its base is given the history `put_view(base before, result)`, and every other view of that
base looks its own history up again when it is next used.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .op import REGISTRY, Op, Traced, called
from .tape import Leaf, Node, current, enable_grad, mark_written, memory, observe, state, user_line


class View:
    """What a view is a view of, by which ops, and the node its base had when the view was last brought up to date."""

    __slots__ = ("base", "path", "seen")

    def __init__(self, base: Traced, path: tuple, seen: Any):
        self.base, self.path, self.seen = base, path, seen

    @classmethod
    def of(cls, source: Any, op: Op, params: dict, k: int | None) -> View:
        """The link of a result to the tensor whose memory it shares, through the source if that is itself a view."""
        step = ((op, params, k),)
        if source.origin is None:
            return cls(source, step, source.node)
        return cls(source.origin.base, source.origin.path + step, source.origin.base.node)


def follow(path: tuple, x: Any) -> Any:
    """Take the view of x that a path describes."""
    for op, params, k in path:
        x = op.call(x, **params) if k is None else op.call(x, **params)[k]
    return x


def refresh(t: Any) -> None:
    """Give a view the history its base has gained by a change in place."""
    if t.origin.base.node is not t.origin.seen:
        t.origin.seen = t.origin.base.node
        with enable_grad():
            t.node = follow(t.origin.path, t.origin.base).node


def write(target: Any, new: Any, who: str = "write") -> None:
    """Overwrite an array or a traced value."""
    if isinstance(target, Traced):
        target.write(new, who)
    elif not target.flags.writeable:
        raise RuntimeError(
            f"{called(who)}: the entries share memory, as after expand, or the memory is read-only; clone() it first"
        )
    else:
        np.copyto(target, new, casting="same_kind")


def overwrite(t: Any, new: Any, who: str = "write") -> None:
    """Let tensor t take on the value and the history of `new`; nothing changes if it cannot."""
    base = t if t.origin is None else t.origin.base
    recording = current().grad
    if recording and isinstance(base.node, Leaf):
        what = "a leaf that requires gradients" if base is t else "a view of a leaf that requires gradients"
        raise RuntimeError(
            f"{called(who)}: {what} cannot be changed in place: "
            "its gradient would be lost; use no_grad(), or clone() it first"
        )
    new = _fitting(t, new, who)
    if not isinstance(new, type(t)) and isinstance(new, Traced) and new.level > t.level:
        raise RuntimeError(
            f"{called(who)}: a tensor from outside this transform cannot take on a value from inside it; "
            "return it instead"
        )
    node = _history(t, new) if recording else None
    write(t.value, new.value if isinstance(new, Traced) and new.level == t.level else new, who)
    mark_written(t.value, user_line() if current().anomaly else None)
    if recording:
        _rebase(t, base, new, node)
    if state.mode is not None:
        observe(REGISTRY["overwrite"], (t, new), {}, None)


def _fitting(t: Any, new: Any, who: str) -> Any:
    """`new` in the shape and type of t, or an error that says why not."""
    if not isinstance(new, Traced):
        new = _as_array(new, t.dtype, who)
    if not np.can_cast(new.dtype, t.dtype, "same_kind"):
        raise TypeError(
            f"{called(who)}: {new.dtype} cannot be stored in place in a tensor of {t.dtype}; convert one of them"
        )
    if new.shape != t.shape:
        try:
            fits = np.broadcast_shapes(new.shape, t.shape) == t.shape
        except ValueError:
            fits = False
        if not fits:
            shapes = f"a value of shape {new.shape} cannot be stored in place in a tensor of shape {t.shape}"
            raise ValueError(f"{called(who)}: {shapes}")
        new = REGISTRY["broadcast_to"].call(new, shape=t.shape)
    return new if new.dtype == t.dtype else new.astype(t.dtype)


def _as_array(new: Any, dtype: np.dtype, who: str) -> np.ndarray:
    """What is to be stored, as an array; Python numbers take on the type of the tensor."""
    if isinstance(new, (np.ndarray, np.generic)):
        return np.asarray(new)
    try:
        return np.asarray(new, None if np.iscomplexobj(new) and dtype.kind != "c" else dtype)
    except (TypeError, ValueError):
        given = f"{type(new).__name__} {new!r:.40}"
        raise TypeError(f"{called(who)}: expected a number, an array or a tensor, got {given}") from None


def _history(t: Any, new: Any) -> Any:
    """Where the gradient of the overwritten tensor goes; what `new`'s node has kept of t's memory is kept apart."""
    node = getattr(new, "node", None) if isinstance(new, Traced) and new.level == t.level else None
    if isinstance(node, Leaf):
        node = REGISTRY["alias"].call(new).node
    if isinstance(node, Node) and type(node) is Node and node.env:
        owner = memory(t.value)
        node.env = [v.copy() if isinstance(v, np.ndarray) and memory(v) is owner else v for v in node.env]
    return node


def _rebase(t: Any, base: Any, new: Any, node: Any) -> None:
    """Hand the new history on to the base of a view."""
    if base is not t and (node is not None or base.node is not None):
        from .tensor import at, record

        part = at(new.value if isinstance(new, Traced) and new.level == t.level else new, node, t.level)
        parents = [n for n in (base.node, node) if n is not None]
        key = 4 | (base.node is not None) | (node is not None) << 1
        base.node = record(
            REGISTRY["put_view"], base.value, [base.value, part.value], {"path": t.origin.path}, parents, key
        )
        t.origin.seen = base.node
    t.node = node
